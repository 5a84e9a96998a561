"""What a submission needs of Azure: ADX, the blobs of a container, and URLs that ADX can read by."""

from collections.abc import Sequence
from datetime import UTC, datetime

from cli.containers import blobs_of
from cli.errors import Refused
from cli.identity import credential, tokens_for
from shared.ambient import Ambient
from shared.blob_access import AccessFailed, NoBlob, make_access
from shared.endpoints import Endpoints
from shared.kusto.client import KustoClient
from shared.settings import BlobAccess


def adx_for(cluster: str, auth: str) -> KustoClient:
    """A client of one cluster, by the login of whoever runs this."""
    return KustoClient(tokens_for(cluster, auth), Endpoints(cluster), concurrency=1, ambient=Ambient())


def listed(container_url: str, prefix: str) -> list[str]:
    """The URLs of a container's blobs.

    Raises:
        Refused: the container is not there, or may not be listed.
        Unreachable: storage does not answer.
    """
    return list(blobs_of(container_url, prefix, credential))


def readable(urls: Sequence[str], access: BlobAccess) -> list[str]:
    """The URLs with what ADX needs to read the blobs.

    Raises:
        Refused: one is no blob's, or no SAS can be made for it.
    """
    way = make_access(access, credential, lambda: datetime.now(UTC))
    try:
        return [way.readable(url) for url in urls]
    except (AccessFailed, NoBlob) as error:
        raise Refused(str(error)) from None

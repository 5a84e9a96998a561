"""The blobs of a container, by its SAS or by the login of whoever runs this. Only here is a blob client made."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import ContainerClient

from cli.errors import Refused, TrackerError, Unreachable
from shared.blob_access import is_storage_host
from shared.model import bare_url
from shared.redaction import redacted_line

_FORBIDDEN = frozenset({401, 403})
_NOT_FOUND = 404


def blobs_of(container_url: str, prefix: str, make_credential: Callable[[], TokenCredential]) -> Iterator[str]:
    """The URL of each blob whose name begins with ``prefix``, with the container's SAS if its URL has one.

    Raises:
        Refused: the container is not there, or may not be listed.
        Unreachable: storage does not answer.
    """
    has_sas = "sig=" in urlsplit(container_url).query
    credential = None if has_sas else _credential_for(container_url, make_credential)
    try:
        with ContainerClient.from_container_url(
            container_url, credential=credential, retry_total=2, connection_timeout=10, read_timeout=60
        ) as container:
            for blob in container.list_blobs(name_starts_with=prefix or None, include=["metadata"]):
                # A folder of a storage with folders is listed too.
                if (blob.metadata or {}).get("hdi_isfolder", "").lower() != "true":
                    yield container.get_blob_client(blob.name).url
    except AzureError as error:
        raise _told(error, container_url) from None
    except ValueError:
        raise Refused(
            "--container is the URL of a container: https://ACCOUNT.blob.core.windows.net/CONTAINER"
        ) from None


def _credential_for(container_url: str, make_credential: Callable[[], TokenCredential]) -> TokenCredential:
    """A login goes to Azure Storage alone: a token for it opens all that one may read there."""
    parts = urlsplit(container_url)
    if parts.scheme != "https" or not is_storage_host(parts.netloc):
        raise Refused(
            f"{bare_url(container_url)} is no container of Azure Storage, and a login is sent nowhere else: give a "
            "SAS, by TRACKER_SAS or --sas-file"
        )
    return make_credential()


def _told(error: AzureError, container_url: str) -> TrackerError:
    where = bare_url(container_url)
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status in _FORBIDDEN:
        return Refused(
            f"{where} may not be listed: a SAS needs 'list' and 'read', a login the role Storage Blob Data Reader"
        )
    if status == _NOT_FOUND:
        return Refused(f"{where} is not there")
    return Unreachable(f"{where} can't be listed: {redacted_line(error)}")

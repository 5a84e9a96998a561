"""How ADX may read a blob that is submitted again: ``RETRY_BLOB_ACCESS``. Only here is azure-storage-blob known."""

import re
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote, urlsplit

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from shared.model import bare_url
from shared.settings import BlobAccess

# It takes one part in fifteen of a cold start, and one of the three ways here needs it: they load it when they do.
if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient, UserDelegationKey

_KEY_LIFE = timedelta(days=2)
"""Of a user delegation key; seven days are the most. A SAS can't outlive its key."""

_SAS_LIFE = timedelta(days=1)
"""A batch may wait long before ADX reads its blobs."""

_CLOCK_SKEW = timedelta(minutes=15)

_BLOB_HOST = re.compile(
    r"([a-z0-9]{3,24})\.(?:z[0-9]+\.)?blob\."
    r"(?:core\.windows\.net|storage\.azure\.net|core\.chinacloudapi\.cn|core\.usgovcloudapi\.net)"
)


class AccessFailed(Exception):
    """The credentials for reading a blob can't be had now."""


class NoBlob(ValueError):
    """A URL is none of a blob that credentials could be made for."""


class Access(Protocol):
    """Makes the URL that ADX reads a blob by."""

    def readable(self, url: str) -> str:
        """The URL with what ADX needs to read it.

        Raises:
            NoBlob: it can't be the URL of a blob.
            AccessFailed: what ADX needs can't be had now.
        """


class AsIs:
    """The URL as ADX reported it: for public blobs, and where the report keeps the credentials."""

    def readable(self, url: str) -> str:
        """The same URL."""
        return url


class ByManagedIdentity:
    """ADX reads with its own identity, see
    https://learn.microsoft.com/azure/data-explorer/ingest-data-managed-identity.
    """  # noqa: D205, a URL

    def readable(self, url: str) -> str:
        """The bare URL with the suffix that asks for the cluster's system identity; one that names another stays."""
        if ";managed_identity=" in url.lower():
            return url
        return f"{bare_url(url)};managed_identity=system"


class ByUserDelegation:
    """A SAS for reading one blob, signed with a key that the app's identity gets from the blob's account.

    The identity needs Storage Blob Delegator on the account and Storage Blob Data Reader on the container.
    """

    def __init__(self, make_client: "Callable[[str], BlobServiceClient]", now: Callable[[], datetime]) -> None:
        self._make_client = make_client
        self._now = now
        self._keys: dict[str, tuple[UserDelegationKey, datetime]] = {}
        self._lock = threading.Lock()

    def readable(self, url: str) -> str:
        """The bare URL with a SAS.

        Raises:
            NoBlob: it is no URL of a blob.
            AccessFailed: the account gives no key.
        """
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415, loaded late

        bare = bare_url(url)
        account_url, account, container, blob = _parts(bare)
        now = self._now()
        sas = generate_blob_sas(
            account_name=account,
            container_name=container,
            blob_name=blob,
            user_delegation_key=self._key(account_url),
            permission=BlobSasPermissions(read=True),
            start=now - _CLOCK_SKEW,
            expiry=now + _SAS_LIFE,
            protocol="https",
        )
        return f"{account_url}/{quote(container)}/{quote(blob)}?{sas}"

    def _key(self, account_url: str) -> "UserDelegationKey":
        now = self._now()
        with self._lock:
            known = self._keys.get(account_url)
            if known is None or known[1] - now < _SAS_LIFE + _CLOCK_SKEW:
                expires = now + _KEY_LIFE
                try:
                    with self._make_client(account_url) as client:
                        known = client.get_user_delegation_key(now - _CLOCK_SKEW, expires), expires
                except AzureError as error:
                    raise AccessFailed(
                        f"{account_url} gives no user delegation key: {type(error).__name__}. The app's identity needs "
                        "Storage Blob Delegator on the account"
                    ) from None
                self._keys[account_url] = known
            return known[0]


def make_access(
    kind: BlobAccess, make_credential: Callable[[], TokenCredential], now: Callable[[], datetime]
) -> Access:
    """The way that a setting names."""
    match kind:
        case BlobAccess.AS_IS:
            return AsIs()
        case BlobAccess.MANAGED_IDENTITY:
            return ByManagedIdentity()
        case BlobAccess.USER_DELEGATION_SAS:
            return ByUserDelegation(lambda url: _blob_service(url, make_credential()), now)


def is_storage_host(host: str) -> bool:
    """Whether a host is one of Azure Storage's for blobs, in any of the known clouds."""
    return bool(_BLOB_HOST.fullmatch(host.lower()))


def _blob_service(account_url: str, credential: TokenCredential) -> "BlobServiceClient":
    """A client that gives up soon: blobs are claimed meanwhile."""
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415, loaded late

    return BlobServiceClient(account_url, credential=credential, retry_total=1, connection_timeout=10, read_timeout=20)


def _parts(url: str) -> tuple[str, str, str, str]:
    """Account URL, account, container and blob of ``https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB``.

    Raises:
        NoBlob: it is none of the known clouds' storage: the app's token for storage must not go anywhere else.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise NoBlob("its URL is none") from None
    container, _, blob = unquote(parts.path).lstrip("/").partition("/")
    host = _BLOB_HOST.fullmatch(parts.netloc.lower())
    if parts.scheme != "https" or not blob or not host:
        raise NoBlob("its URL is not https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB")
    return f"https://{host[0]}", host[1], container, blob

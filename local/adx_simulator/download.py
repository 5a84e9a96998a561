"""Downloads blobs by their URLs, and says what went wrong as ADX does."""

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import aiohttp
from azure.storage.blob import BlobSasPermissions, generate_blob_sas
from yarl import URL

from local.adx_simulator.failures import TRANSIENT, BlobRefused
from local.adx_simulator.submissions import MANAGED_IDENTITY
from local.azurite import ACCOUNT, KEY

# Not the whole: of many blobs due at once, some wait long for a connection, and that is no fault of the storage.
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30)
IDENTITY_VALID = timedelta(minutes=5)
HTTP_OK = 200
SERVER_ERRORS = 500
REFUSALS = {
    400: "Download_BadRequest",
    401: "Download_Forbidden",
    403: "Download_Forbidden",
    404: "Download_SourceNotFound",
    409: "Download_AccessConditionNotSatisfied",
    412: "Download_AccessConditionNotSatisfied",
}
TRY_AGAIN = (408, 429)


async def download(session: aiohttp.ClientSession, url: str) -> bytes:
    """Downloads a blob.

    Args:
        session: The HTTP client.
        url: The blob's URL as it was submitted.

    Returns:
        Its bytes as they are stored.

    Raises:
        BlobRefused: They can't be had.
    """
    try:
        async with session.get(_readable(url), allow_redirects=False, timeout=TIMEOUT) as answer:
            if answer.status == HTTP_OK:
                return await answer.read()
            raise _refusal(answer.status)
    except aiohttp.ClientConnectorDNSError as error:
        raise BlobRefused("Download_TransientNameResolutionFailure", str(error), status=TRANSIENT) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        text = str(error) or "no answer in time"
        raise BlobRefused("Download_UnknownError", text, status=TRANSIENT) from error


async def delete(session: aiohttp.ClientSession, url: str) -> None:
    """Deletes a blob after its download, as far as its URL allows that.

    Args:
        session: The HTTP client.
        url: The blob's URL as it was submitted.
    """
    try:
        async with session.delete(_readable(url), allow_redirects=False, timeout=TIMEOUT):
            pass
    except (aiohttp.ClientError, TimeoutError):
        # The service gives no word of a blob that it could not delete.
        return


def _refusal(status: int) -> BlobRefused:
    text = f"The storage answered with status {status}"
    if status >= SERVER_ERRORS or status in TRY_AGAIN:
        return BlobRefused("Download_UnknownError", text, status=TRANSIENT)
    return BlobRefused(REFUSALS.get(status, "Download_NotTransient"), text)


def _readable(text: str) -> URL:
    address, by_identity, _ = text.partition(MANAGED_IDENTITY)
    try:
        # The signature is over the URL as it is: nothing in it may be written in another way.
        url = URL(address, encoded=True)
        usable = url.scheme in ("http", "https") and bool(url.host)
    except ValueError:
        usable = False
    if not usable:
        raise BlobRefused("BadRequest_InvalidBlobUri", "The blob's URL is no http or https URL")
    return _signed(url) if by_identity and not url.raw_query_string else url


def _signed(url: URL) -> URL:
    """Lets the managed identity read the emulator's blobs: the emulator knows no roles that it could be given."""
    account, _, path = url.raw_path.strip("/").partition("/")
    container, _, name = path.partition("/")
    if account != ACCOUNT or not name:
        return url
    signature = generate_blob_sas(
        account,
        unquote(container),
        unquote(name),
        account_key=KEY,
        permission=BlobSasPermissions(read=True, delete=True),
        expiry=datetime.now(UTC) + IDENTITY_VALID,
    )
    return URL(f"{url}?{signature}", encoded=True)

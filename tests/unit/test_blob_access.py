import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient, UserDelegationKey

from shared.blob_access import (
    AccessFailed,
    AsIs,
    ByManagedIdentity,
    ByUserDelegation,
    NoBlob,
    make_access,
)
from shared.settings import BlobAccess
from tests.support.facts import NOW, URL

ACCOUNT = "https://acc.blob.core.windows.net"


class Account:
    """Hands out user delegation keys, and keeps what it was asked for."""

    def __init__(self, error: HttpResponseError | None = None) -> None:
        self.error = error
        self.urls: list[str] = []
        self.asked: list[tuple[datetime, datetime]] = []
        self.closed = 0

    def connect(self, url: str) -> BlobServiceClient:
        self.urls.append(url)
        return cast("BlobServiceClient", self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed += 1

    def get_user_delegation_key(self, start: datetime, expiry: datetime) -> UserDelegationKey:
        if self.error:
            raise self.error
        self.asked.append((start, expiry))
        key = UserDelegationKey()  # type: ignore[no-untyped-call]  # the SDK's
        key.signed_oid, key.signed_tid = "object-id", "tenant-id"
        key.signed_start, key.signed_expiry = start.isoformat(), expiry.isoformat()
        key.signed_service, key.signed_version = "b", "2025-11-05"
        key.value = base64.b64encode(f"key {len(self.asked)}".encode()).decode()
        return key


def access(account: Account, now: Callable[[], datetime] = lambda: NOW) -> ByUserDelegation:
    return ByUserDelegation(account.connect, now)


def sas_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}


@pytest.mark.parametrize("url", [URL, f"{URL}?sv=1&sig=abc", f"{URL};managed_identity=system", ""])
def test_as_is_leaves_a_url_alone(url: str) -> None:
    assert AsIs().readable(url) == url


@pytest.mark.parametrize(
    ("url", "readable"),
    [
        (URL, f"{URL};managed_identity=system"),
        (f"{URL}?sv=1&sig=expired", f"{URL};managed_identity=system"),
        (f"{URL};managed_identity=system", f"{URL};managed_identity=system"),
        (f"{URL};managed_identity=0b1c", f"{URL};managed_identity=0b1c"),
        (f"{URL};Managed_Identity=0b1c", f"{URL};Managed_Identity=0b1c"),
    ],
)
def test_by_managed_identity_adx_reads_as_itself(url: str, readable: str) -> None:
    assert ByManagedIdentity().readable(url) == readable


def test_a_sas_reads_one_blob_over_https_for_a_day() -> None:
    url = access(Account()).readable(f"{URL}?sig=expired")
    assert url.partition("?")[0] == URL
    sas = sas_of(url)
    assert {name: sas[name] for name in ("sp", "sr", "spr", "st", "se")} == {
        "sp": "r",
        "sr": "b",
        "spr": "https",
        "st": "2026-11-24T11:45:00Z",
        "se": "2026-11-25T12:00:00Z",
    }
    assert (sas["skoid"], sas["sktid"], sas["sks"]) == ("object-id", "tenant-id", "b")
    assert len(base64.b64decode(sas["sig"])) == 32
    assert "expired" not in url


def test_the_signature_is_of_the_blob_and_the_key() -> None:
    one, other = Account(), Account()
    other.get_user_delegation_key(NOW, NOW)  # the next one is another key
    signatures = [
        sas_of(access(account).readable(url))["sig"]
        for account, url in ((one, URL), (one, f"{URL}2"), (other, URL), (Account(), URL))
    ]
    assert len(set(signatures)) == 3
    assert signatures[0] == signatures[3]


def test_the_key_outlives_the_sas() -> None:
    account = Account()
    sas = sas_of(access(account).readable(URL))
    ((start, expiry),) = account.asked
    assert account.urls == [ACCOUNT]
    assert start <= datetime.fromisoformat(sas["st"])
    assert datetime.fromisoformat(sas["se"]) <= expiry <= NOW + timedelta(days=7)


def test_a_key_serves_all_blobs_of_its_account_until_a_sas_would_outlive_it() -> None:
    account, clock = Account(), [NOW]
    by_delegation = access(account, lambda: clock[0])
    for hours in (0, 1, 23, 24, 25, 47, 48):
        clock[0] = NOW + timedelta(hours=hours)
        sas = sas_of(by_delegation.readable(f"{URL}{hours}"))
        assert datetime.fromisoformat(sas["se"]) <= account.asked[-1][1]
    assert len(account.asked) == 3
    assert account.closed == len(account.urls) == 3


def test_each_account_has_a_key_of_its_own() -> None:
    account = Account()
    by_delegation = access(account)
    for host in ("acc", "acc2", "acc"):
        by_delegation.readable(f"https://{host}.blob.core.windows.net/in/a.csv")
    assert account.urls == [ACCOUNT, "https://acc2.blob.core.windows.net"]


def test_many_threads_ask_for_one_key() -> None:
    account, ready = Account(), threading.Barrier(8)
    by_delegation = access(account)

    def read(number: int) -> str:
        ready.wait()
        return by_delegation.readable(f"{URL}{number}")

    with ThreadPoolExecutor(8) as executor:
        assert len(set(executor.map(read, range(8)))) == 8
    assert len(account.asked) == 1


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (f"{ACCOUNT}/in/a%20b%2Bc.csv", "/in/a%20b%2Bc.csv"),
        (f"{ACCOUNT}/in/a b.csv", "/in/a%20b.csv"),
        (f"{ACCOUNT}/in/2026/11/24/a.csv", "/in/2026/11/24/a.csv"),
        (f"{ACCOUNT}/in/%C3%A9.csv", "/in/%C3%A9.csv"),
        (f"{ACCOUNT}/in/a%3Bb%3Fc%23d.csv", "/in/a%3Bb%3Fc%23d.csv"),
        (f"{ACCOUNT}/in/100%25.csv", "/in/100%25.csv"),
    ],
)
def test_a_blobs_name_may_hold_any_character(url: str, path: str) -> None:
    assert urlsplit(access(Account()).readable(url)).path == path


@pytest.mark.parametrize(
    "host",
    [
        "acc.blob.core.windows.net",
        "ACC.Blob.core.windows.net",
        "acc.z12.blob.storage.azure.net",
        "acc.blob.storage.azure.net",
        "acc.blob.core.chinacloudapi.cn",
        "acc.blob.core.usgovcloudapi.net",
    ],
)
def test_the_storage_of_every_cloud_is_known(host: str) -> None:
    account = Account()
    access(account).readable(f"https://{host}/in/a.csv")
    assert account.urls == [f"https://{host.lower()}"]


NO_BLOBS = [
    "",
    "a.csv",
    "https://evil.example/in/a.csv",
    "https://acc.blob.core.windows.net.evil.example/in/a.csv",
    "https://evil.example/acc.blob.core.windows.net/in/a.csv",
    "https://evilblob.core.windows.net/in/a.csv",
    "https://a.b.blob.core.windows.net/in/a.csv",
    "https://acc.blob.core.windows.net:8443/in/a.csv",
    "http://acc.blob.core.windows.net/in/a.csv",
    "https://acc.queue.core.windows.net/in/a.csv",
    "https://acc.dfs.core.windows.net/in/a.csv",
    "abfss://in@acc.dfs.core.windows.net/a.csv",
    "http://127.0.0.1:10000/devstoreaccount1/in/a.csv",
    "https://acc.blob.core.windows.net",
    "https://acc.blob.core.windows.net/in",
    "https://acc.blob.core.windows.net/in/",
    "https://acc.blob.core.windows.net/?comp=list",
    r"https://evil.example\.blob.core.windows.net/in/a.csv",
]


@pytest.mark.parametrize("url", NO_BLOBS)
def test_what_is_no_blob_in_azure_is_refused_and_the_identity_is_not_used(url: str) -> None:
    account = Account()
    with pytest.raises(NoBlob):
        access(account).readable(url)
    assert account.urls == []


@pytest.mark.parametrize("url", ["https://[acc.blob.core.windows.net/in/a.csv", "https://acc\u2100.example/in/a.csv"])
def test_what_is_no_url_is_refused_too(url: str) -> None:
    with pytest.raises(NoBlob):
        access(Account()).readable(url)


def test_a_refusal_does_not_show_the_url() -> None:
    with pytest.raises(NoBlob) as refusal:
        access(Account()).readable("https://evil.example/in/a.csv?sig=hunter2")
    assert "hunter2" not in str(refusal.value)


def test_an_account_that_gives_no_key_is_named_with_the_missing_role() -> None:
    account = Account(HttpResponseError(message="AuthorizationPermissionMismatch at https://x/?sig=hunter2"))
    with pytest.raises(AccessFailed) as failure:
        access(account).readable(URL)
    for part in (ACCOUNT, "HttpResponseError", "Storage Blob Delegator"):
        assert part in str(failure.value)
    assert "hunter2" not in str(failure.value)
    assert account.closed == 1


def test_a_key_that_was_refused_is_asked_for_again() -> None:
    account = Account(HttpResponseError(message="not now"))
    by_delegation = access(account)
    with pytest.raises(AccessFailed):
        by_delegation.readable(URL)
    account.error = None
    assert "sig" in sas_of(by_delegation.readable(URL))


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (BlobAccess.AS_IS, AsIs),
        (BlobAccess.MANAGED_IDENTITY, ByManagedIdentity),
        (BlobAccess.USER_DELEGATION_SAS, ByUserDelegation),
    ],
)
def test_a_setting_names_the_way_and_makes_no_credential_before_it_is_needed(kind: BlobAccess, made: type) -> None:
    def no_credential() -> TokenCredential:
        pytest.fail("a credential was made")

    assert type(make_access(kind, no_credential, lambda: datetime.now(UTC))) is made

"""Which blob of a message a report is about, and with which URL it is tried again."""

import pytest

from shared.messages import NamedBlob
from shared.model import BlobReport
from shared.records import BlobRow
from shared.reenqueue import NamedBlobs, names_another, retry_blob

U1, U2 = "https://account.blob.core.windows.net/c/a.csv", "https://account.blob.core.windows.net/c/b.csv"
SAS = "?sv=2026&sig=secret"


def test_of_two_blobs_that_share_a_source_id_each_keeps_its_own_credentials() -> None:
    named = [NamedBlob(U1 + SAS, "s"), NamedBlob(U2 + SAS, "s")]
    report = BlobReport("Failed", "s", U2, failure_status="Transient")
    blob = retry_blob(BlobRow("k", report, 1), NamedBlobs(named).find(report), U2)
    assert (blob.url, blob.url_brought) == (U2 + SAS, True)


def test_of_two_blobs_that_share_a_source_id_a_redrive_takes_the_right_one() -> None:
    named = [NamedBlob(U1 + SAS, "s"), NamedBlob(U2 + SAS, "s")]
    report = BlobReport("Failed", "s", U2, failure_status="Permanent")
    assert retry_blob(BlobRow("k", report, 1), NamedBlobs(named).find(report), None).url == U2 + SAS


@pytest.mark.parametrize(
    ("message", "reported"),
    [
        ("https://account.blob.core.windows.net/c/a%20b.csv", "https://account.blob.core.windows.net/c/a b.csv"),
        ("https://Account.blob.core.windows.net/c/a.csv", U1),
        ("https://account.blob.core.windows.net:443/c/a.csv", U1),
    ],
)
def test_a_blob_without_a_source_id_is_found_by_another_spelling_of_its_url(message: str, reported: str) -> None:
    blob = NamedBlob(message + SAS)
    assert not names_another(blob, reported)
    assert NamedBlobs([blob]).find(BlobReport("Failed", None, reported)) is blob


@pytest.mark.parametrize(
    "url",
    [
        r"https://evil.example\@account.blob.core.windows.net/c/a.csv",
        r"https://evil.example\c\x.csv\@account.blob.core.windows.net/c/a.csv",
        "https://evil.example;@account.blob.core.windows.net/c/a.csv",
    ],
)
def test_a_look_alike_of_the_reported_url_is_another(url: str) -> None:
    assert names_another(NamedBlob(url), U1)

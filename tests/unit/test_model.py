import hashlib
from collections.abc import Callable

import pytest

from shared.model import (
    ALREADY_INGESTED,
    BlobReport,
    BlobSource,
    Counts,
    FailureStatus,
    Operation,
    StatusReport,
    bare_url,
    blob_key,
)
from tests.support.facts import OPERATION, URL, blob, failed


def test_an_operations_key_is_the_sha256_of_its_four_lines() -> None:
    lines = f"{OPERATION.cluster}\nSales\nOrders\ningest_op_12345"
    assert OPERATION.key == hashlib.sha256(lines.encode()).hexdigest()[:32]


@pytest.mark.parametrize(
    "other",
    [
        Operation("https://ingest-other.kusto.windows.net", "Sales", "Orders", "ingest_op_12345"),
        Operation(OPERATION.cluster, "sales", "Orders", "ingest_op_12345"),
        Operation(OPERATION.cluster, "Sales", "Returns", "ingest_op_12345"),
        Operation(OPERATION.cluster, "Sales", "Orders", "ingest_op_12346"),
        Operation(OPERATION.cluster, "Orders", "Sales", "ingest_op_12345"),
    ],
)
def test_each_part_of_an_operation_is_in_its_key(other: Operation) -> None:
    assert other.key != OPERATION.key


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        (URL, URL),
        (f"{URL}?sv=2025&sig=abc", URL),
        (f"{URL}#part", URL),
        (f"{URL};managed_identity=system", URL),
        (f"{URL};QUNDT1VOVEtFWQ==", URL),
        (f"{URL}?sig=a;b#c", URL),
        ("https://user:word@host/in/a.csv", "https://host/in/a.csv"),
        ("https://host/in/a@b.csv", "https://host/in/a@b.csv"),
        ("abfss://box@acc.dfs.core.windows.net/a.csv", "abfss://box@acc.dfs.core.windows.net/a.csv"),
        ("ABFS://box@acc.dfs.core.windows.net/a.csv?sig=abc", "ABFS://box@acc.dfs.core.windows.net/a.csv"),
        ("abfss://user:word@acc.dfs.core.windows.net/a.csv", "abfss://acc.dfs.core.windows.net/a.csv"),
        ("abfss://box@acc.dfs.core.windows.net/a.csv;QUNDT1VOVEtFWQ==", "abfss://box@acc.dfs.core.windows.net/a.csv"),
        ("https://word@host/in/a.csv", "https://host/in/a.csv"),
        ("no url at all", "no url at all"),
        ("", ""),
    ],
)
def test_a_bare_url_has_nothing_that_may_be_a_secret(url: str, bare: str) -> None:
    assert bare_url(url) == bare


def test_a_blobs_key_is_over_its_source_id_and_bare_url() -> None:
    expected = hashlib.sha256(f"s1\n{URL}".encode()).hexdigest()[:32]
    assert blob_key("s1", f"{URL}?sig=one") == blob_key("s1", f"{URL}?sig=two") == expected


def test_blobs_that_differ_have_different_keys() -> None:
    keys = [
        blob_key(None, None),
        blob_key("s1", None),
        blob_key(None, URL),
        blob_key("s1", URL),
        blob_key("s1", URL, 1),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 32 for key in keys)


@pytest.mark.parametrize(
    ("report", "is_final", "has_succeeded", "failure"),
    [
        (blob("Queued"), False, False, None),
        (blob("InProgress"), False, False, None),
        (blob("Succeeded"), True, True, None),
        (blob("Canceled"), True, False, None),
        (blob("Paused"), False, False, None),
        (blob(""), False, False, None),
        (blob("InProgress", failure_status="Transient"), False, False, None),
        (failed("Transient"), True, False, FailureStatus.TRANSIENT),
        (failed("Permanent"), True, False, FailureStatus.PERMANENT),
        (failed("Exhausted"), True, False, FailureStatus.EXHAUSTED),
        (failed("Unknown"), True, False, FailureStatus.UNKNOWN),
        (failed("Sporadic"), True, False, FailureStatus.UNKNOWN),
        (failed(None), True, False, FailureStatus.UNKNOWN),
        (failed("Permanent", error_code=ALREADY_INGESTED), True, True, None),
        (failed("Transient", error_code=ALREADY_INGESTED), True, True, None),
        (blob("InProgress", error_code=ALREADY_INGESTED), False, False, None),
    ],
)
def test_what_a_report_of_a_blob_means(
    report: BlobReport, *, is_final: bool, has_succeeded: bool, failure: FailureStatus | None
) -> None:
    assert report.is_final is is_final
    assert report.has_succeeded is has_succeeded
    assert report.failure is failure
    assert report.has_failed is (failure is not None)
    assert report.is_transient is (failure is FailureStatus.TRANSIENT)


def test_blobs_are_counted_by_the_status_that_adx_gave() -> None:
    blobs = [
        blob("Succeeded"),
        failed(),
        failed(error_code=ALREADY_INGESTED),
        blob("Queued"),
        blob("InProgress"),
        blob("InProgress"),
        blob("Canceled"),
        blob("Paused"),
        blob(""),
    ]
    counts = Counts.of(blobs)
    assert counts == Counts(succeeded=1, failed=2, in_progress=3, canceled=1, other=2)
    assert (counts.total, counts.finished) == (9, 4)


@pytest.mark.parametrize(
    ("report", "tally"),
    [
        (StatusReport(), Counts()),
        (StatusReport(counts=Counts(succeeded=3)), Counts(succeeded=3)),
        (StatusReport(counts=Counts(), blobs=(failed(),)), Counts()),
        (StatusReport(blobs=(failed(), blob("Queued"))), Counts(failed=1, in_progress=1)),
    ],
)
def test_a_reports_counts_come_before_its_blobs(report: StatusReport, tally: Counts) -> None:
    assert report.tally == tally


@pytest.mark.parametrize("show", [repr, str])
def test_a_blob_to_submit_does_not_show_its_url(show: Callable[[object], str]) -> None:
    assert "blob.core" not in show(BlobSource(f"{URL}?sig=abc", "s1"))

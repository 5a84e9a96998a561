import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kusto.answers import NoStatus, read_error, read_most_blobs, read_operation_id, read_status
from shared.model import BlobReport, Counts, StatusReport
from tests.support.facts import URL

SAMPLES = Path(__file__).parents[1] / "support" / "samples"


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2025, 10, 1, hour, minute, tzinfo=UTC)


def status_of(**fields: object) -> StatusReport:
    return read_status(json.dumps(fields).encode())


def blob_of(**fields: object) -> BlobReport:
    blobs = status_of(details=[fields]).blobs
    assert blobs is not None
    return next(iter(blobs))


def test_the_documented_summary() -> None:
    assert read_status((SAMPLES / "status-summary.json").read_bytes()) == StatusReport(
        counts=Counts(succeeded=8, failed=1, in_progress=2, canceled=0),
        blobs=None,
        start_time=at(12),
        last_updated=at(12, 30),
    )


def test_the_documented_details() -> None:
    assert read_status((SAMPLES / "status-details.json").read_bytes()) == StatusReport(
        counts=Counts(succeeded=1, failed=1, in_progress=1, canceled=0),
        blobs=(
            BlobReport(
                status="Failed",
                source_id="123a6999-411e-4226-a333-w79992dd9b95",
                url="https://example.com/blob1.csv.gz",
                start_time=at(12),
                last_updated=at(12, 15),
                error_code="BadRequest_MissingMappingFailure",
                failure_status="Permanent",
                details="Mapping not found",
            ),
            BlobReport(
                status="InProgress",
                url="https://example.com/blob2.csv.gz",
                start_time=at(12, 5),
                last_updated=at(12, 20),
            ),
            BlobReport(
                status="Succeeded", url="https://example.com/blob3.csv.gz", start_time=at(12), last_updated=at(12, 10)
            ),
        ),
        start_time=at(12),
        last_updated=at(12, 30),
    )


def test_the_sdks_dialect() -> None:
    report = status_of(
        startTime="2025-10-01T12:00:00Z",
        lastUpdated="2025-10-01T12:30:00Z",
        status={"succeeded": 8, "failed": 1, "inProgress": 2, "canceled": 3},
        details=[
            {
                "sourceId": "s1",
                "status": "Failed",
                "startedAt": "2025-10-01T12:00:00Z",
                "lastUpdateTime": "2025-10-01T12:15:00Z",
                "errorCode": "General_ThrottledIngestion",
                "failureStatus": "Transient",
                "details": "busy",
            },
            {"sourceId": "s2", "status": "Queued", "failureStatus": None},
        ],
    )
    assert report == StatusReport(
        counts=Counts(succeeded=8, failed=1, in_progress=2, canceled=3),
        blobs=(
            BlobReport("Failed", "s1", None, at(12), at(12, 15), "General_ThrottledIngestion", "Transient", "busy"),
            BlobReport("Queued", "s2"),
        ),
        start_time=at(12),
        last_updated=at(12, 30),
    )


@pytest.mark.parametrize("rename", [str.lower, str.upper, str.title])
def test_names_are_read_in_any_casing(rename: Any) -> None:  # noqa: ANN401, a method of str
    fields = {"lastUpdated": "2025-10-01T12:00:00Z", "status": {"succeeded": 1}, "details": [{"sourceId": "s1"}]}
    renamed = {
        rename("lastUpdated"): fields["lastUpdated"],
        rename("status"): {rename("succeeded"): 1},
        rename("details"): [{rename("sourceId"): "s1"}],
    }
    assert status_of(**renamed) == status_of(**fields)


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({}, None),
        ({"status": None}, None),
        ({"status": {}}, Counts()),
        ({"status": {"Succeeded": None, "Failed": 2}}, Counts(failed=2)),
        ({"status": {"Succeeded": 2.0}}, Counts(succeeded=2)),
        ({"status": {"Queued": 2, "Succeeded": 1}}, Counts(succeeded=1, other=2)),
        ({"status": {"Paused": 1, "Throttled": 2}}, Counts(other=3)),
        ({"status": {"Paused": 0}}, Counts()),
        ({"status": {"Phase": "sealing", "IsFinal": True, "Succeeded": 1}}, Counts(succeeded=1)),
    ],
)
def test_counts_are_read_as_far_as_they_go(fields: dict[str, Any], counts: Counts | None) -> None:
    assert status_of(**fields).counts == counts


@pytest.mark.parametrize("count", [-1, 1.5, "8", True, [1], 2**31, 1e300])
def test_a_count_that_is_no_whole_number_is_no_status(count: object) -> None:
    with pytest.raises(NoStatus):
        status_of(status={"Succeeded": count})


@pytest.mark.parametrize("details", [None, {}, "none", 5])
def test_details_that_are_no_list_are_none(details: object) -> None:
    assert status_of(details=details).blobs is None


def test_no_details_are_told_from_empty_ones() -> None:
    assert status_of().blobs is None
    assert status_of(details=[]).blobs == ()


@pytest.mark.parametrize(
    ("came", "kept"),
    [("Succeeded", "Succeeded"), ("inprogress", "InProgress"), ("QUEUED", "Queued"), ("Paused", "Paused"), (None, "")],
)
def test_a_status_is_spelt_as_ours_or_kept_as_it_came(came: str | None, kept: str) -> None:
    assert blob_of(status=came).status == kept


@pytest.mark.parametrize(
    ("came", "kept"), [("transient", "Transient"), ("PERMANENT", "Permanent"), ("Sporadic", "Sporadic"), (None, None)]
)
def test_a_failure_status_is_spelt_as_ours_or_kept_as_it_came(came: str | None, kept: str | None) -> None:
    assert blob_of(status="Failed", failureStatus=came).failure_status == kept


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2025-10-01T12:00:00Z", at(12)),
        ("2025-10-01T14:00:00+02:00", at(12)),
        ("2025-10-01T12:00:00", at(12)),
        ("2025-10-01T12:00:00.1234567Z", at(12).replace(microsecond=123456)),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("soon", None),
        ("", None),
        (None, None),
        (1759320000, None),
    ],
)
def test_times_are_in_utc_and_those_that_no_table_keeps_are_none(text: object, time: datetime | None) -> None:
    assert status_of(startTime=text).start_time == time
    assert blob_of(lastUpdateTime=text).last_updated == time


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("123a6999-411e-4226-a333-w79992dd9b95", "123a6999-411e-4226-a333-w79992dd9b95"),
        (12345, "12345"),
        ("", None),
        (True, None),
        ({"id": 1}, None),
        ("a\ud800b", "a?b"),
        ("a\0b", "a�b"),
    ],
)
def test_a_source_id_is_any_text_that_a_table_keeps(value: object, text: str | None) -> None:
    assert blob_of(sourceId=value).source_id == text


def test_the_text_of_a_failure_loses_its_secrets_and_nothing_else() -> None:
    report = blob_of(details=f"Could not read '{URL}?sv=1&sig=abc' (record 5)")
    assert report.details == f"Could not read '{URL}' (record 5)"


def test_unknown_fields_are_passed_over() -> None:
    assert status_of(status={"Succeeded": 1}, version=2, details=[{"status": "Succeeded", "rows": 5}]) == status_of(
        status={"Succeeded": 1}, details=[{"status": "Succeeded"}]
    )


NO_OBJECT = [b"", b" ", b"<html></html>", b"[]", b"null", b'"Succeeded"', b"5", b"\xff\xfe\xfd", b"{", b"[" * 200_000]


@pytest.mark.parametrize("body", NO_OBJECT)
def test_a_body_that_is_no_json_object_is_no_status(body: bytes) -> None:
    for read in (read_status, read_operation_id, read_most_blobs):
        with pytest.raises(NoStatus):
            read(body)


@pytest.mark.parametrize("fields", [{"status": "Succeeded"}, {"status": [1]}, {"details": [None]}, {"details": ["x"]}])
def test_what_cannot_be_a_status_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(NoStatus):
        status_of(**fields)


def test_a_byte_order_mark_does_no_harm() -> None:
    assert read_status(b'\xef\xbb\xbf{"status": {"Failed": 1}}').counts == Counts(failed=1)


NAMES = st.sampled_from(
    [
        *("status", "details", "startTime", "lastUpdated", "Succeeded", "failed", "InProgress", "queued", "Paused"),
        *(
            "sourceId",
            "url",
            "startedAt",
            "lastUpdateTime",
            "errorCode",
            "failureStatus",
            "error",
            "code",
            "@permanent",
        ),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["Failed", "transient", "2025-10-01T12:00:00Z", "0001-01-01T00:00:00+14:00", URL, "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=5),
)
BODIES = st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode())


@given(BODIES)
def test_whatever_comes_is_a_status_or_none(body: bytes) -> None:
    try:
        report = read_status(body)
    except NoStatus:
        return
    assert isinstance(report, StatusReport)
    assert report.tally.total >= report.tally.finished >= 0
    for each in report.blobs or ():
        assert "\0" not in f"{each.source_id}{each.url}{each.details}".encode().decode()


@given(BODIES)
def test_whatever_comes_has_an_error_text_for_a_person(body: bytes) -> None:
    text, permanent = read_error(body)
    assert len(text) <= 500
    assert permanent in {True, False, None}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            b'{"error": {"code": "BadRequest_X", "message": "short", "@message": "long", "@permanent": true}}',
            ("BadRequest_X: long", True),
        ),
        (b'{"error": {"code": "Busy", "message": "short", "@permanent": false}}', ("Busy: short", False)),
        (b'{"Error": {"Code": "Busy", "@permanent": "no"}}', ("Busy", None)),
        (b'{"error": {}}', ("", None)),
        (b'{"error": "busy"}', ('{"error": "busy"}', None)),
        (b"<html>\n  Bad\tGateway</html>", ("<html> Bad Gateway</html>", None)),
        (b"\xff", ("�", None)),
        (b"", ("", None)),
        (b"see https://a.example/x?sig=abc", ("see https://a.example/x", None)),
        (
            b'{"error": {"code": "A", "message": "see https://a.example/x?sig=abc"}}',
            ("A: see https://a.example/x", None),
        ),
        (b"x " * 500, ("x " * 100, None)),
    ],
)
def test_what_an_error_says(body: bytes, said: tuple[str, bool | None]) -> None:
    assert read_error(body) == said


@pytest.mark.parametrize(
    ("body", "operation_id"),
    [
        (b'{"ingestionOperationId": "00001111;11112222;x-y"}', "00001111;11112222;x-y"),
        (b'{"IngestionOperationId": "a"}', "a"),
        (b'{"ingestionOperationId": 12345}', "12345"),
        (b'{"ingestionOperationId": ""}', None),
        (b'{"ingestionOperationId": null}', None),
        (b'{"ingestionOperationId": "a\\nb"}', None),
        (b'{"ingestionOperationId": ".."}', None),
        (b'{"ingestionOperationId": "' + b"a" * 512 + b'"}', "a" * 512),
        (b'{"ingestionOperationId": "' + b"a" * 513 + b'"}', None),
        (b'{"ingestionOperationId": "' + b"/" * 171 + b'"}', None),
        (b"{}", None),
    ],
)
def test_the_id_of_a_new_operation(body: bytes, operation_id: str | None) -> None:
    assert read_operation_id(body) == operation_id


@pytest.mark.parametrize(
    ("body", "most"),
    [
        (b'{"ingestionSettings": {"maxBlobsPerBatch": 70}}', 70),
        (b'{"IngestionSettings": {"MaxBlobsPerBatch": 1}}', 1),
        (b'{"ingestionSettings": {"maxBlobsPerBatch": 0}}', None),
        (b'{"ingestionSettings": {"maxBlobsPerBatch": -3}}', None),
        (b'{"ingestionSettings": {"maxBlobsPerBatch": true}}', None),
        (b'{"ingestionSettings": {"maxBlobsPerBatch": "70"}}', None),
        (b'{"ingestionSettings": null}', None),
        (b"{}", None),
    ],
)
def test_the_most_blobs_of_a_request(body: bytes, most: int | None) -> None:
    assert read_most_blobs(body) == most

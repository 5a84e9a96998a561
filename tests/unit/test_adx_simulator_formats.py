"""What the ADX simulator makes of bytes, paths and faults, without a server."""

import gzip
import io
import random
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local.adx_simulator import BlobFault, RequestFault
from local.adx_simulator.failures import PERMANENT, BlobRefused
from local.adx_simulator.faults import BlobFacts, Faults, RequestFacts, fault_from_json, fault_json
from local.adx_simulator.formats import Layout, read_rows
from local.adx_simulator.routes import Route, route
from local.adx_simulator.settings import Settings, changed

CSV = Layout("csv")
QUEUED = "/v1/rest/ingestion/queued"


def parquet_of(columns: dict[str, list[object]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("data", "layout", "rows", "distinct"),
    [
        (b"a,b\n1,2\n", CSV, 2, 2),
        (b"a,b\n1,2\n1,2\n", Layout("csv", ignore_first_record=True), 2, 1),
        (b'1,"two\nlines, one ""field"""\r\n\r\n3,4', CSV, 2, 2),
        (b"\xef\xbb\xbf1\tx\n2\ty\n", Layout("tsv"), 2, 2),
        (b'{"a": 1, "b": 2}\n\n{"b":2,"a":1}\n', Layout("json"), 2, 1),
        (b'[{"a": 1}, {"a": 2}]', Layout("multijson"), 2, 2),
        (b'{"a": 1}{"a":\n 1} \n {"a": 3}', Layout("multijson"), 3, 2),
        (parquet_of({"a": [1, 1, 2], "b": ["x", "x", None]}), Layout("parquet"), 3, 2),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_rows_are_counted_and_told_apart(data: bytes, layout: Layout, rows: int, distinct: int, packed: bool) -> None:  # noqa: FBT001, a parameter of the test
    found = read_rows(gzip.compress(data, mtime=0) if packed else data, "blob.gz" if packed else "blob", layout)
    assert found.total() == rows
    assert len(found) == distinct


def test_gzip_is_known_by_its_first_bytes_too() -> None:
    assert read_rows(gzip.compress(b"1,2\n", mtime=0), "blob.csv", CSV) == read_rows(b"1,2\n", "blob.csv", CSV)


def test_equal_rows_have_equal_digests_however_they_are_written() -> None:
    assert read_rows(b'"1","2"\n', "", CSV) == read_rows(b"1,2\r\n", "", CSV)
    assert read_rows(b"1,23\n", "", CSV) != read_rows(b"12,3\n", "", CSV)


@pytest.mark.parametrize(
    ("data", "name", "layout", "code"),
    [
        (b"", "", CSV, "BadRequest_EmptyBlob"),
        (gzip.compress(b"", mtime=0), "x.gz", CSV, "BadRequest_EmptyBlob"),
        (b"1,2\n3\n", "", CSV, "Stream_WrongNumberOfFields"),
        (b'1,"2\n3,4\n', "", CSV, "Stream_ClosingQuoteMissing"),
        (b'1,"2"x\n', "", CSV, "BadRequest_UnexpectedCharacterInInputStream"),
        (b"\xff\xfe\xfd", "", CSV, "BadRequest_UnexpectedCharacterInInputStream"),
        (b"a,b\n", "", Layout("csv", ignore_first_record=True), "BadRequest_NoRecordsOrWrongFormat"),
        (b'{"a": 1\n', "", Layout("json"), "BadRequest_UnexpectedCharacterInInputStream"),
        (b"[" * 100_000, "", Layout("json"), "BadRequest_UnexpectedCharacterInInputStream"),
        (b'{"a": 1} {', "", Layout("multijson"), "BadRequest_UnexpectedCharacterInInputStream"),
        (b"[1, 2]", "", Layout("multijson"), "BadRequest_NoRecordsOrWrongFormat"),
        (b"1,2\n", "x.csv.gz", CSV, "BadRequest_InvalidBlob"),
        (gzip.compress(b"1,2\n" * 99, mtime=0)[:-12], "", CSV, "BadRequest_InvalidBlob"),
        (b"1,2\n", "", Layout("parquet"), "BadRequest_InvalidBlob"),
        (parquet_of({"a": [1, 2, 3]})[:-20], "", Layout("parquet"), "BadRequest_InvalidBlob"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_code_of_adx(data: bytes, name: str, layout: Layout, code: str) -> None:
    with pytest.raises(BlobRefused) as refused:
        read_rows(data, name, layout)
    assert (refused.value.failure.code, refused.value.failure.status) == (code, PERMANENT)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", f"{QUEUED}/d/t", Route("submit", "d", "t")),
        ("GET", f"{QUEUED}/d/t/op?details=true", Route("status", "d", "t", "op")),
        ("GET", f"{QUEUED}/d%2Fe/t%3B%20x/a%2Fb%25c%3F", Route("status", "d/e", "t; x", "a/b%c?")),
        ("GET", f"{QUEUED}/d/t/1;2;3", Route("status", "d", "t", "1;2;3")),
        ("GET", "/v1/rest/ingestion/configuration", Route("configuration")),
        ("GET", "/simulator/books", Route("control", name="books")),
        ("GET", f"{QUEUED}/d/t", Route("other")),
        ("POST", f"{QUEUED}/d/t/op", Route("other")),
        ("GET", f"{QUEUED}/d/t/a/b", Route("other")),
        ("GET", f"{QUEUED}/d/t/", Route("other")),
    ],
)
def test_a_path_is_split_before_it_is_decoded(method: str, path: str, expected: Route) -> None:
    assert route(method, path) == expected


def faults(*given: BlobFault | RequestFault, seed: int = 1) -> Faults:
    return Faults(given, seed=seed, rng=random.Random(seed))


def test_a_share_of_blobs_is_chosen_by_url_and_seed_alone() -> None:
    fault = BlobFault(kind="transient", share=0.3)
    blobs = [BlobFacts(f"http://x/{n}", "d", "t", submission) for submission in (1, 2) for n in range(500)]

    def struck(seed: int) -> list[str]:
        chooser = faults(fault, seed=seed)
        return [blob.url for blob in blobs if chooser.for_blob(blob)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert set(Counter(struck(1)).values()) == {2}
    assert 100 < len(set(struck(1))) < 200


def test_a_share_of_requests_repeats_with_the_seed() -> None:
    def struck(seed: int) -> list[bool]:
        chooser = faults(RequestFault(effect="error", share=0.3), seed=seed)
        return [chooser.for_request(RequestFacts("status")) is not None for _ in range(500)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert 100 < sum(struck(1)) < 200


def test_the_first_fault_that_fits_strikes_and_only_as_often_as_it_may() -> None:
    first = RequestFault(effect="error", request="status", table="t", times=2)
    second = RequestFault(effect="html", request="submit")
    chooser = faults(first, second)
    status, submit = RequestFacts("status", "d", "t", "op"), RequestFacts("submit", "d", "t")
    assert [chooser.for_request(status) for _ in range(3)] == [first, first, None]
    assert chooser.for_request(submit) is second
    assert chooser.for_request(RequestFacts("status", "d", "u", "op")) is None
    assert chooser.struck == [2, 1]


def test_falsified_details_wait_for_an_answer_that_they_change() -> None:
    fault = RequestFault(effect="hide-failed", times=1)
    chooser = faults(fault)
    detailed = RequestFacts("status", "d", "t", "op", details=True)
    assert chooser.for_request(detailed) is None
    assert chooser.for_view(detailed, failed=0) is None
    assert chooser.for_view(RequestFacts("status", "d", "t", "op"), failed=1) is None
    assert chooser.for_view(detailed, failed=1) is fault
    assert chooser.for_view(detailed, failed=1) is None


@pytest.mark.parametrize(
    "fault", [BlobFault(kind="mending", code="X", submissions=2), RequestFault(effect="hang", accepted=True, seconds=2)]
)
def test_faults_survive_json(fault: BlobFault | RequestFault) -> None:
    assert fault_from_json(fault_json(fault)) == fault


@pytest.mark.parametrize(
    "data",
    [
        {"type": "blob", "kind": "nonsense"},
        {"type": "blob"},
        {"type": "request", "effect": "error", "nonsense": 1},
        {"type": "nonsense"},
        {"type": "request", "effect": "nonsense"},
        {"type": "request", "effect": "error", "request": "nonsense"},
    ],
)
def test_a_fault_that_is_none_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"nonsense|missing"):
        fault_from_json(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"nonsense": 1},
        {"dialect": "nonsense"},
        {"dialect": "nonsense", "database": "d", "table": "t"},
        {"operation_id_pattern": "always the same"},
        {"database": "d", "dialect": "sdk"},
        {"database": "d", "table": "t", "batching_seconds": 1},
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"nonsense|no two operations|go together"):
        changed(Settings(), changes)


def test_a_table_may_have_a_dialect_of_its_own() -> None:
    settings = changed(Settings(), {"dialect": "sdk", "database": "d", "table": "t"})
    assert (settings.dialect_of("d", "t"), settings.dialect_of("d", "u")) == ("sdk", "documented")

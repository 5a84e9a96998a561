"""Reads a blob's bytes as ADX would, and makes of each row a digest that tells it from other rows.

The digest is of what the row says, not of how it was written: quoting in CSV, blanks and the order of keys in JSON make
no difference to it.
"""

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import pyarrow as pa
import pyarrow.parquet as pq

from local.adx_simulator.failures import BlobRefused

DELIMITERS = {"csv": ",", "tsv": "\t", "psv": "|", "scsv": ";", "sohsv": "\x01"}
FORMATS = (*DELIMITERS, "json", "multijson", "parquet")
GZIP_MAGIC = b"\x1f\x8b"
DIGEST_BYTES = 8
# Python's own limit is below what a dynamic column may hold.
LARGEST_FIELD = 32 * 1024 * 1024
FIELD_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read a blob.

    Attributes:
        format: One of `FORMATS`.
        ignore_first_record: Whether the first record is a header; of no effect outside the delimited formats.
    """

    format: str
    ignore_first_record: bool = False


def read_rows(data: bytes, name: str, layout: Layout) -> Counter[int]:
    """Parses a whole blob.

    Args:
        data: Its bytes, compressed or not.
        name: Its name, whose end may say that it is compressed.
        layout: How to read it.

    Returns:
        How often each row occurs, by its digest.

    Raises:
        BlobRefused: It can't be read, or holds no row.
    """
    content = _unpacked(data, name)
    if not content:
        raise BlobRefused("BadRequest_EmptyBlob", "The blob is empty")
    rows = Counter(map(digest, _rows(content, layout)))
    if not rows:
        raise BlobRefused(
            "BadRequest_NoRecordsOrWrongFormat", f"The blob holds no record in the format {layout.format}"
        )
    return rows


def digest(row: str) -> int:
    """Returns a number that only equal rows share.

    Args:
        row: The row's content.
    """
    return int.from_bytes(blake2b(row.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest())


def _unpacked(data: bytes, name: str) -> bytes:
    if not data or not (name.endswith(".gz") or data.startswith(GZIP_MAGIC)):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise BlobRefused("BadRequest_InvalidBlob", f"The blob can't be decompressed: {error}") from error


def _rows(content: bytes, layout: Layout) -> Iterator[str]:
    if layout.format == "parquet":
        return _parquet(content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BlobRefused("BadRequest_UnexpectedCharacterInInputStream", f"The blob is no UTF-8: {error}") from error
    if layout.format == "json":
        return _json_lines(text)
    if layout.format == "multijson":
        return _json_values(text)
    return _delimited(text, DELIMITERS[layout.format], skip_first=layout.ignore_first_record)


def _delimited(text: str, delimiter: str, *, skip_first: bool) -> Iterator[str]:
    csv.field_size_limit(LARGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    width = 0
    try:
        for fields in reader:
            if not fields:
                continue
            if width and len(fields) != width:
                raise _wrong_number_of_fields(len(fields), width, reader.line_num)
            if width or not skip_first:
                yield FIELD_SEPARATOR.join(fields)
            width = len(fields)
    except csv.Error as error:
        raise _broken_quoting(error, reader.line_num) from error


def _wrong_number_of_fields(found: int, expected: int, line: int) -> BlobRefused:
    return BlobRefused(
        "Stream_WrongNumberOfFields", f"{found} fields instead of {expected} in the record of line {line}"
    )


def _broken_quoting(error: csv.Error, line: int) -> BlobRefused:
    # Past the largest field a quote was left open, as much as at the end of the data.
    still_open = "unexpected end of data" in str(error) or "field limit" in str(error)
    code = "Stream_ClosingQuoteMissing" if still_open else "BadRequest_UnexpectedCharacterInInputStream"
    return BlobRefused(code, f"Line {line}: {error}")


def _json_lines(text: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _broken_json(f"line {number}: {error}") from error
        yield _record(value)


def _json_values(text: str) -> Iterator[str]:
    decoder = json.JSONDecoder()
    position = _skip_blanks(text, 0)
    while position < len(text):
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise _broken_json(str(error)) from error
        for record in value if isinstance(value, list) else [value]:
            yield _record(record)
        position = _skip_blanks(text, end)


def _skip_blanks(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _record(value: object) -> str:
    if not isinstance(value, dict):
        what = type(value).__name__
        raise BlobRefused("BadRequest_NoRecordsOrWrongFormat", f"A record has to be a JSON object, not {what}")
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _broken_json(what: str) -> BlobRefused:
    return BlobRefused("BadRequest_UnexpectedCharacterInInputStream", f"The blob is no JSON, {what}")


def _parquet(content: bytes) -> Iterator[str]:
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            for batch in file.iter_batches():
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    yield repr(values)
    except (pa.ArrowException, OSError) as error:
        raise BlobRefused("BadRequest_InvalidBlob", f"The blob is no Parquet: {error}") from error

"""Reading a status answer, in the documentation's dialect and in the SDK's, and whatever else may come.

The dialects differ in the casing of the counts and in the names of a blob's times; the SDK's blobs have no URL. See
https://learn.microsoft.com/kusto/api/rest/queued-ingest-status-http, and ``ingest-v2/src/main/resources/openapi.yaml``
of https://github.com/Azure/azure-kusto-java.
"""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import IO, Any

from shared.keys import LONGEST_KEY, escape, utf16_length
from shared.kusto.long_json import LongJson
from shared.many_blobs import ManyBlobs
from shared.model import MOST_COUNT, BlobReport, BlobStatus, Counts, FailureStatus, StatusReport
from shared.redaction import redact, redacted_id

_EARLIEST = datetime(1601, 1, 1, tzinfo=UTC)
"""What Table Storage takes; .NET writes a time that is not set as year 1."""

_MOST_TEXT = 64 * 1024
"""Characters of a text that are looked at; a table keeps half of them, and an error is told in a few."""

_STATUS_NAMES = frozenset({"status", "details", "starttime", "startedat", "lastupdated", "lastupdatetime"})

type _Fields = Mapping[str, Any]


class NoStatus(ValueError):
    """The body is no status answer: an error of the service, or of something on the way."""


def read_status(body: bytes) -> StatusReport:
    """Read the body of a status answer.

    Raises:
        NoStatus: it is no JSON object, or says something that can't be a status.
    """
    fields = _object(_parse(body), "the answer")
    details = fields.get("details")
    blobs = tuple(_blob(_object(each, "a blob")) for each in details) if isinstance(details, list) else None
    return _report(fields, blobs)


def read_long_status(body: IO[bytes]) -> StatusReport:
    """Read a status answer that is too long for memory, its blobs one by one.

    Raises:
        NoStatus: it is no JSON object, or says something that can't be a status.
    """
    try:
        fields = _object(_streamed(LongJson(body)), "the answer")
    except NoStatus:
        raise
    except (ValueError, RecursionError):
        raise NoStatus("the body is no JSON") from None
    details = fields.get("details")
    if isinstance(details, NoStatus):
        raise details
    return _report(fields, details if isinstance(details, ManyBlobs) else None)


def _report(fields: _Fields, blobs: Collection[BlobReport] | None) -> StatusReport:
    return StatusReport(
        counts=_counts(fields.get("status")),
        blobs=blobs,
        start_time=_time(fields, "starttime", "startedat"),
        last_updated=_time(fields, "lastupdated", "lastupdatetime"),
    )


def _streamed(text: LongJson) -> object:
    """What a status is read from: its details, if they are an array, as ``ManyBlobs``, or what is wrong with them."""
    fields: dict[str, object] = {}
    for _ in text.each("{}"):
        name = text.value()
        text.take(":")
        if not isinstance(name, str):
            raise NoStatus("a name is no text")
        is_long = name.lower() == "details" and text.peek() == "["
        value = _many_blobs(text) if is_long else text.value()
        # Nothing else is held, whatever it is.
        fields |= {name: value} if name.lower() in _STATUS_NAMES else {}
    if text.peek():
        raise NoStatus("the answer goes on behind its end")
    return fields


def _many_blobs(text: LongJson) -> ManyBlobs | NoStatus:
    items = (text.value() for _ in text.each("[]"))
    try:
        return ManyBlobs(_blob(_object(each, "a blob")) for each in items)
    except NoStatus as error:
        # There may be other details, which go before these.
        for _ in items:
            pass
        return error


def read_operation_id(body: bytes) -> str | None:
    """The operation ID of a submission's answer, None if it has none, or none that can be asked for and kept.

    Raises:
        NoStatus: it is no JSON object.
    """
    operation_id = _text(_object(_parse(body), "the answer"), "ingestionoperationid")
    return operation_id if operation_id and _is_name(operation_id) else None


def read_most_blobs(body: bytes) -> int | None:
    """``maxBlobsPerBatch`` of the configuration, None if it doesn't say.

    Raises:
        NoStatus: it is no JSON object.
    """
    settings = _object(_parse(body), "the answer").get("ingestionsettings")
    most = _object(settings, "ingestionSettings").get("maxblobsperbatch") if isinstance(settings, dict) else None
    return most if isinstance(most, int) and not isinstance(most, bool) and most > 0 else None


def read_error(body: bytes) -> tuple[str, bool | None]:
    """What an error body says, for a person and without secrets, and its ``@permanent`` if it is Kusto's own."""
    try:
        error = _object(_object(_parse(body), "the answer").get("error"), "error")
    except NoStatus:
        # Cut only after: half a secret is not told any more.
        text = " ".join(body[:_MOST_TEXT].decode(errors="replace").split())
        return redact(text)[:200], None
    text = ": ".join(filter(None, (_text(error, "code"), _text(error, "@message") or _text(error, "message"))))
    permanent = error.get("@permanent")
    return redact(text[:_MOST_TEXT])[:500], permanent if isinstance(permanent, bool) else None


def _is_name(text: str) -> bool:
    """Whether a text names an operation in a message too, in a URL and in a key."""
    has_control = any(character < " " or character == "\x7f" for character in text)
    return not has_control and text not in {".", ".."} and utf16_length(escape(text)) <= LONGEST_KEY


def _parse(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise NoStatus("the body is no JSON") from None


def _object(value: object, what: str) -> _Fields:
    """A JSON object, its names in lower case: that is all the dialects differ in."""
    if not isinstance(value, dict):
        raise NoStatus(f"{what} is no JSON object")
    return {name.lower(): each for name, each in value.items()}


def _counts(value: object) -> Counts | None:
    if value is None:
        return None
    known = {"succeeded": 0, "failed": 0, "inprogress": 0, "canceled": 0}
    other = 0
    for name, each in _object(value, "status").items():
        if name in known:
            known[name] = _count(each)
        elif name != "queued" and (isinstance(each, bool) or not isinstance(each, int | float)):
            continue
        else:
            other = min(other + _count(each), MOST_COUNT)
    return Counts(known["succeeded"], known["failed"], known["inprogress"], known["canceled"], other)


def _count(value: object) -> int:
    if value is None:
        return 0
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not isinstance(value, int | float) or not is_whole or not 0 <= value <= MOST_COUNT:
        raise NoStatus("a count is no whole number")
    return int(value)


def _blob(fields: _Fields) -> BlobReport:
    source_id = _text(fields, "sourceid")
    return BlobReport(
        status=_listed(BlobStatus, _redacted(fields, "status")) or "",
        source_id=source_id and redacted_id(source_id),
        url=_text(fields, "url"),
        start_time=_time(fields, "starttime", "startedat"),
        last_updated=_time(fields, "lastupdated", "lastupdatetime"),
        error_code=_redacted(fields, "errorcode"),
        failure_status=_listed(FailureStatus, _redacted(fields, "failurestatus")),
        details=_redacted(fields, "details"),
    )


def _listed(kind: type[StrEnum], text: str | None) -> str | None:
    """The enum's spelling of a value that it lists in any casing, else the text as it came."""
    return text and _spellings(kind).get(text.lower(), text)


@cache
def _spellings(kind: type[StrEnum]) -> Mapping[str, str]:
    return {member.value.lower(): member.value for member in kind}


def _redacted(fields: _Fields, name: str) -> str | None:
    """A field's text without secrets: it goes into tables, logs and messages."""
    text = _text(fields, name)
    return text and redact(text[:_MOST_TEXT])


def _text(fields: _Fields, name: str) -> str | None:
    """A field's text; a number as its digits, nothing else, and nothing that a table could not keep."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).encode(errors="replace").decode().replace("\0", "�") or None


def _time(fields: _Fields, *names: str) -> datetime | None:
    """A time, taken for UTC if it doesn't say. None if there is none, or none that Table Storage could keep."""
    value = next((fields[name] for name in names if isinstance(fields.get(name), str)), "")
    try:
        time = datetime.fromisoformat(value)
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return time if time >= _EARLIEST else None

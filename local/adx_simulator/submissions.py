"""What is submitted, read and checked as the service does."""

import json
from dataclasses import dataclass
from typing import Any

from local.adx_simulator.answers import Refused
from local.adx_simulator.formats import FORMATS, Layout

INGEST_BY = "ingest-by:"
MANAGED_IDENTITY = ";managed_identity="


@dataclass(frozen=True, slots=True)
class SubmittedBlob:
    """A blob of a submission.

    Attributes:
        url: Its URL as it came, with credentials.
        source_id: Its `sourceId`, if it came with one.
    """

    url: str
    source_id: str | None


@dataclass(frozen=True, slots=True)
class Submission:
    """A checked submission.

    Attributes:
        blobs: Its blobs.
        layout: How to read them.
        tracked: Whether its status can be asked for.
        at_once: Whether it does not wait for a batch to fill.
        ingest_by: Its `ingest-by:` tags, without that prefix.
        unless_exists: Tags that forbid its ingestion when the table holds them.
        delete_after_download: Whether its blobs are deleted once they are read.
    """

    blobs: tuple[SubmittedBlob, ...]
    layout: Layout
    tracked: bool
    at_once: bool
    ingest_by: tuple[str, ...]
    unless_exists: tuple[str, ...]
    delete_after_download: bool


def plain_url(url: str) -> str:
    """Returns a blob's URL without its query and without a suffix that names an identity: what tells blobs apart.

    Args:
        url: The URL as it was submitted.
    """
    return url.split(MANAGED_IDENTITY, 1)[0].split("?", 1)[0]


def read_submission(body: bytes, *, max_blobs: int) -> Submission:
    """Reads the body of a submission.

    Args:
        body: The bytes as they came.
        max_blobs: The most blobs that it may have.

    Returns:
        The submission.

    Raises:
        Refused: It is not one that the service takes.
    """
    data = _object(_json(body), "the body")
    properties = _object(data.get("properties"), "properties")
    blobs = _blobs(data.get("blobs"), max_blobs)
    layout = Layout(_format(properties, data["blobs"]), ignore_first_record=_true(properties, "ignoreFirstRecord"))
    tags = _strings(properties, "tags")
    ingest_by = tuple(tag.removeprefix(INGEST_BY) for tag in tags if tag.startswith(INGEST_BY))
    unless_exists = tuple(tag.removeprefix(INGEST_BY) for tag in _strings(properties, "ingestIfNotExists"))
    return Submission(
        blobs=blobs,
        layout=layout,
        tracked=_true(properties, "enableTracking"),
        at_once=_true(properties, "skipBatching") or bool(ingest_by or unless_exists),
        ingest_by=ingest_by,
        unless_exists=unless_exists,
        delete_after_download=_true(properties, "deleteAfterDownload"),
    )


def _json(body: bytes) -> object:
    try:
        value: object = json.loads(body)
    except ValueError as error:
        raise Refused(400, f"the body is no JSON: {error}", code="BadRequest_SyntaxError") from error
    return value


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(f"{name} has to be a JSON object")
    return value


def _blobs(value: object, max_blobs: int) -> tuple[SubmittedBlob, ...]:
    if not isinstance(value, list) or not value:
        raise Refused(400, "blobs has to be a list with at least one blob", code="BadRequest_EmptyBlobUri")
    if len(value) > max_blobs:
        raise _malformed(f"{len(value)} blobs are more than the {max_blobs} that one request may have")
    blobs = tuple(_blob(_object(item, "a blob")) for item in value)
    seen = {plain_url(blob.url) for blob in blobs}
    if len(seen) < len(blobs):
        raise Refused(400, "a blob is named twice", code="BlobAlreadyReceived_BlobAlreadyFoundInBatch")
    return blobs


def _blob(item: dict[str, Any]) -> SubmittedBlob:
    url, source_id = item.get("url"), item.get("sourceId")
    if not isinstance(url, str) or not url:
        raise Refused(400, "a blob has no url", code="BadRequest_EmptyBlobUri")
    if not (source_id is None or isinstance(source_id, str)):
        raise _malformed("sourceId has to be a string")
    return SubmittedBlob(url, source_id)


def _format(properties: dict[str, Any], blobs: list[dict[str, Any]]) -> str:
    wanted = properties.get("format")
    if not isinstance(wanted, str) or not wanted:
        raise _malformed("properties.format is missing")
    if wanted.lower() not in FORMATS:
        raise Refused(400, f"the format {wanted!r} is not supported", code="BadRequest_FormatNotSupported")
    others = [blob["format"] for blob in blobs if blob.get("format") not in (None, wanted)]
    if others:
        raise _malformed(f"all blobs have to be of one format, not of {wanted} and {', '.join(map(str, others))}")
    return wanted.lower()


def _strings(properties: dict[str, Any], name: str) -> list[str]:
    value = properties.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _malformed(f"properties.{name} has to be a list of strings")
    return value


def _true(properties: dict[str, Any], name: str) -> bool:
    value = properties.get(name)
    if value is not None and not isinstance(value, bool):
        raise _malformed(f"properties.{name} has to be true or false")
    return value is True


def _malformed(message: str) -> Refused:
    return Refused(400, message, code="BadRequest_MalformedIngestionProperty")

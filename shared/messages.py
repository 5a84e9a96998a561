"""The messages of the three queues: reading what comes, writing what goes.

A message is read whether it comes as plain text or as base64, since senders differ. Sizes are of the JSON text, which
is all ASCII.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from shared import keys
from shared.endpoints import Endpoints, cluster_name
from shared.errors import EndpointNotAllowed
from shared.fields import Fields, MessageRefused, Object, content_of, text_of
from shared.model import MOST_COUNT, BlobSource, Json, Operation, Properties
from shared.redaction import holds_certain_secret, holds_secret, redact, redacted_id

MOST_BLOBS = 20
"""Blobs in one retry message: what ADX takes in one request."""

MOST_BYTES = 48 * 1024
"""Bytes of one retry message: what a queue takes (64 KiB) if a consumer's library passes it on as base64."""

LONGEST_DETAILS = 1024
"""Characters of a blob's error text in a retry message; the table keeps all of it."""

LONGEST_CORRELATION_ID = 1024
"""Characters; it goes into every row and retry message of its operations."""


@dataclass(frozen=True, slots=True)
class NamedBlob:
    """A blob that the message named. Its URL may hold a credential, so its ``repr`` leaves that out.

    ``url_brought`` is False where the app itself registered a resubmission whose URL has no credential of its own.
    """

    url: str | None = field(default=None, repr=False)
    source_id: str | None = None
    raw_size: int | None = None
    url_brought: bool = True
    extra: Mapping[str, Json] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where an operation comes from. ``attempt`` 1 is what upstream submitted; its root is itself.

    The app gives it to what it submits again; so can a consumer of the retry queue.
    """

    attempt: int = 1
    root_operation_id: str | None = None
    parent_operation_id: str | None = None


FROM_UPSTREAM = Lineage()


@dataclass(frozen=True, slots=True)
class OperationMessage:
    """A message of ``ingestion-operations``. ``extra`` has the fields that the app does not know."""

    operation: Operation
    lineage: Lineage = FROM_UPSTREAM
    properties: Properties | None = field(default=None, repr=False)
    blobs: tuple[NamedBlob, ...] = ()
    correlation_id: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RetryBlob:
    """A failed blob in a retry message.

    ``key`` names its row, whatever the URL's spelling. ``url_brought``: the URL came in the operation's message, not
    from ADX.
    """

    url: str | None = field(default=None, repr=False)
    source_id: str | None = None
    raw_size: int | None = None
    error_code: str | None = None
    failure_status: str | None = None
    details: str | None = field(default=None, repr=False)
    url_brought: bool = False
    key: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict, repr=False)

    def as_source(self, url: str, source_id: str) -> BlobSource:
        """The blob as it is submitted again, with a URL that the service can read."""
        return BlobSource(url=url, source_id=source_id, raw_size=self.raw_size)


@dataclass(frozen=True, slots=True)
class RetryMessage:
    """A message of ``ingestion-retries``: one resubmission. ``attempt`` is that of the operation that failed.

    ``missing_since``: when ADX began to answer without these blobs, if it does; kept while the message is put back.
    ``put_backs``: how often it was. ``untold``: the channels by which the news of its blobs' recovery has still to go
    out. ``redriven_by``: who has had the blobs, which the app had given up, tried again.
    """

    operation: Operation
    root_operation_id: str
    attempt: int
    enqueued_at: datetime
    blobs: tuple[RetryBlob, ...]
    properties: Properties | None = field(default=None, repr=False)
    correlation_id: str | None = None
    missing_since: datetime | None = None
    put_backs: int = 0
    untold: str | None = None
    redriven_by: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class PollBatch:
    """A message of ``ingestion-polls``: the due rows of one shard from ``first`` to ``last``, both included.

    ``since``: when it was handed out, and its lease began; after its end what is still due is handed out again.
    """

    shard: str
    first: str
    last: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a message that doesn't name its cluster, database or table means."""

    endpoints: Endpoints
    database: str = ""
    table: str = ""


def read_operation(body: bytes, defaults: Defaults, *, is_ours: bool = False) -> OperationMessage:
    """Read a message of ``ingestion-operations``.

    Args:
        body: The message.
        defaults: What it means where it doesn't say.
        is_ours: It was accepted before: its cluster may not be allowed any more, and it is not to be refused for that.

    Raises:
        MessageRefused: it is no message, lacks a field, or names a cluster that isn't allowed.
    """
    content = content_of(text_of(body))
    fields = Fields({"operationId": content} if isinstance(content, str) else content)
    return operation_message(fields, defaults, is_ours=is_ours)


def operation_message(fields: Fields, defaults: Defaults, *, is_ours: bool = False) -> OperationMessage:
    """The message that an object's fields make; the arguments and the error are those of ``read_operation``."""
    operation = Operation(
        cluster=(fields.string("cluster") if is_ours else None)
        or resolved_cluster(fields.string("cluster"), defaults.endpoints),
        database=fields.name("database", defaults.database, "KUSTO_DATABASE"),
        table=fields.name("table", defaults.table, "KUSTO_TABLE"),
        operation_id=fields.name("operationId"),
    )
    _check_keys(operation)
    if not is_ours:
        _check_names(fields, "operationId", "database", "table", "rootOperationId", "parentOperationId")
    return OperationMessage(
        operation=operation,
        lineage=Lineage(
            attempt=fields.number("attempt", MOST_COUNT) or 1,
            root_operation_id=_optional_name(fields, "rootOperationId"),
            parent_operation_id=_optional_name(fields, "parentOperationId"),
        ),
        properties=fields.object("properties"),
        blobs=tuple(_named_blob(Fields(blob)) for blob in fields.objects("blobs")),
        correlation_id=_correlation_id(fields),
        extra=fields.rest(),
    )


def write_operation(message: OperationMessage) -> str:
    """The message as JSON, as ``read_operation`` takes it."""
    return _dump(
        {
            **message.extra,
            "operationId": message.operation.operation_id,
            "database": message.operation.database,
            "table": message.operation.table,
            "cluster": message.operation.cluster,
            **_without_none(
                attempt=message.lineage.attempt,
                rootOperationId=message.lineage.root_operation_id,
                parentOperationId=message.lineage.parent_operation_id,
            ),
            "properties": message.properties,
            "blobs": [
                {
                    **blob.extra,
                    **_without_none(
                        url=blob.url,
                        sourceId=blob.source_id,
                        rawSize=blob.raw_size,
                        urlBrought=None if blob.url_brought else False,
                    ),
                }
                for blob in message.blobs
            ],
            "correlationId": message.correlation_id,
        }
    )


def read_retry(body: bytes, defaults: Defaults) -> RetryMessage:
    """Read a message of ``ingestion-retries``.

    Raises:
        MessageRefused: it is no such message, or names a cluster that isn't allowed.
    """
    content = content_of(text_of(body))
    if isinstance(content, str):
        raise MessageRefused("a retry message is a JSON object")
    fields = Fields(content)
    if (version := fields.number("version")) != 1:
        raise MessageRefused(f"version {version} is not known; this app reads version 1")
    operation = Operation(
        cluster=resolved_cluster(fields.string("cluster"), defaults.endpoints),
        database=fields.name("database"),
        table=fields.name("table"),
        operation_id=fields.name("operationId"),
    )
    return RetryMessage(
        operation=operation,
        root_operation_id=fields.name("rootOperationId"),
        attempt=fields.number("attempt", MOST_COUNT) or 1,
        enqueued_at=fields.time("enqueuedAt"),
        missing_since=fields.time("missingSince") if fields.string("missingSince") else None,
        put_backs=fields.number("putBacks", MOST_COUNT) or 0,
        untold=fields.string("untold"),
        redriven_by=fields.string("redrivenBy"),
        blobs=tuple(_retry_blob(Fields(blob)) for blob in fields.objects("blobs")),
        properties=fields.object("properties"),
        correlation_id=_redacted(fields, "correlationId"),
        extra=fields.rest(),
    )


def write_retry(message: RetryMessage) -> str:
    """The message as JSON, as ``read_retry`` takes it."""
    return _dump(
        {
            **message.extra,
            "version": 1,
            "operationId": message.operation.operation_id,
            "rootOperationId": message.root_operation_id,
            "attempt": message.attempt,
            "cluster": message.operation.cluster,
            "database": message.operation.database,
            "table": message.operation.table,
            "properties": message.properties,
            "correlationId": message.correlation_id,
            "enqueuedAt": _isoformat(message.enqueued_at),
            "missingSince": _isoformat(message.missing_since),
            "putBacks": message.put_backs,
            **_without_none(untold=message.untold, redrivenBy=message.redriven_by),
            "blobs": [_retry_blob_fields(blob) for blob in message.blobs],
        }
    )


def split_retry(message: RetryMessage, *, most_blobs: int = MOST_BLOBS) -> list[RetryMessage]:
    """The message as as many as it takes, each of at most ``most_blobs`` blobs and 48 KiB, in the same order.

    A single blob that is too large even so goes without what makes it so: it may then not be resubmittable, and is
    not lost either.
    """
    parts: list[RetryMessage] = []
    empty = replace(message, blobs=())
    room = MOST_BYTES - len(write_retry(empty))
    waiting: list[RetryBlob] = []
    used = 0
    for blob in map(_shortened, message.blobs):
        size = len(_dump(_retry_blob_fields(blob))) + 1
        if waiting and (len(waiting) == most_blobs or used + size > room):
            parts.append(replace(empty, blobs=tuple(waiting)))
            waiting, used = [], 0
        if size > room:
            parts.append(_lean(empty, blob))
            continue
        waiting.append(blob)
        used += size
    return [*parts, replace(empty, blobs=tuple(waiting))] if waiting else parts


def _lean(empty: RetryMessage, blob: RetryBlob) -> RetryMessage:
    """A message of one large blob, without as little as it takes to fit."""
    blob = replace(blob, details=None, extra={})
    bare = replace(blob, error_code=None)
    nothing_else = replace(empty, properties=None, extra={})
    candidates = [
        replace(empty, blobs=(blob,)),
        replace(nothing_else, blobs=(bare,)),
        replace(nothing_else, blobs=(replace(bare, url=None, url_brought=False),)),
    ]
    fitting = (each for each in candidates if len(write_retry(each)) <= MOST_BYTES)
    last = replace(nothing_else, blobs=(replace(bare, url=None, url_brought=False, source_id=None),))
    return next(fitting, last)


def read_poll_batch(body: bytes) -> PollBatch:
    """Read a message of ``ingestion-polls``.

    Raises:
        MessageRefused: it is no such message.
    """
    content = content_of(text_of(body))
    if isinstance(content, str):
        raise MessageRefused("a poll batch is a JSON object")
    fields = Fields(content)
    if (shard := fields.name("shard")) not in keys.SHARDS:
        raise MessageRefused("the shard is none of 0 to f")
    return PollBatch(shard=shard, first=fields.name("first"), last=fields.name("last"), since=fields.time("since"))


def write_poll_batch(batch: PollBatch) -> str:
    """The batch as JSON, as ``read_poll_batch`` takes it."""
    return _dump(
        {"version": 1, "shard": batch.shard, "first": batch.first, "last": batch.last, "since": _isoformat(batch.since)}
    )


def _dump(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"))


def _isoformat(time: datetime | None) -> str | None:
    return time.astimezone(UTC).isoformat() if time else None


def _without_none(**fields: Json) -> Object:
    return {name: value for name, value in fields.items() if value is not None}


def resolved_cluster(offered: str | None, endpoints: Endpoints) -> str:
    """The cluster that a message means, by its ingestion endpoint; the default one where it doesn't say.

    Raises:
        MessageRefused: it is none of the settings'.
    """
    if offered and holds_secret(offered):
        raise MessageRefused("'cluster' holds what looks like a secret")
    try:
        return endpoints.resolve(offered)
    except EndpointNotAllowed as error:
        raise MessageRefused(str(error)) from None


def _check_keys(operation: Operation) -> None:
    """Refuse what does not fit a key of Table Storage."""
    partition = keys.operations_partition(operation, cluster_name(operation.cluster), datetime.now(UTC))
    if max(keys.utf16_length(partition), keys.utf16_length(keys.escape(operation.operation_id))) > keys.LONGEST_KEY:
        raise MessageRefused(f"operationId, or database and table, are longer than {keys.LONGEST_KEY} characters")


def _check_names(fields: Fields, *names: str) -> None:
    """Refuse a secret in the place of a name, such as a blob's URL for an operation ID: names can't be redacted."""
    for name in names:
        if holds_certain_secret(fields.string(name) or ""):
            raise MessageRefused(f"'{name}' holds what looks like a secret")


def _optional_name(fields: Fields, name: str) -> str | None:
    value = fields.name(name) if fields.string(name) else None
    if value is not None and keys.utf16_length(value) > keys.LONGEST_KEY:
        raise MessageRefused(f"'{name}' is longer than {keys.LONGEST_KEY} characters")
    return value


def _correlation_id(fields: Fields) -> str | None:
    value = fields.string("correlationId")
    if value is not None and len(value) > LONGEST_CORRELATION_ID:
        raise MessageRefused(f"'correlationId' is longer than {LONGEST_CORRELATION_ID} characters")
    return value and redact(value)


def _source_id(fields: Fields) -> str | None:
    value = fields.string("sourceId")
    return value and redacted_id(value)


def _redacted(fields: Fields, name: str) -> str | None:
    value = fields.string(name)
    return value and redact(value)


def _named_blob(fields: Fields) -> NamedBlob:
    return NamedBlob(
        url=fields.string("url"),
        source_id=_source_id(fields),
        raw_size=fields.number("rawSize"),
        url_brought=fields.flag("urlBrought", default=True),
        extra=fields.rest(),
    )


def _retry_blob(fields: Fields) -> RetryBlob:
    return RetryBlob(
        url=fields.string("url"),
        source_id=_source_id(fields),
        raw_size=fields.number("rawSize"),
        error_code=_redacted(fields, "errorCode"),
        failure_status=_redacted(fields, "failureStatus"),
        details=_redacted(fields, "details"),
        url_brought=fields.flag("urlBrought"),
        key=fields.string("blobKey"),
        extra=fields.rest(),
    )


def _retry_blob_fields(blob: RetryBlob) -> Object:
    return {
        **blob.extra,
        "url": blob.url,
        "sourceId": blob.source_id,
        **_without_none(rawSize=blob.raw_size),
        "errorCode": blob.error_code,
        "failureStatus": blob.failure_status,
        "details": blob.details,
        "urlBrought": blob.url_brought,
        **_without_none(blobKey=blob.key),
    }


def _shortened(blob: RetryBlob) -> RetryBlob:
    return replace(blob, details=blob.details[:LONGEST_DETAILS]) if blob.details else blob

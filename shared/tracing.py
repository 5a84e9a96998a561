"""One trace for an operation and all that becomes of it: registration, polls, resubmissions, and theirs in turn.

These steps are hours and instances apart, so the trace's ID is not handed on but follows from what each of them knows:
it is the key of the root operation, the partition of its blobs in ``IngestionBlobs``. Log lines within a step carry it.

A step is written down when it is over: by then it is known whether it failed. What failed is always sent, the rest for
a share of the traces, each of them whole.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

from opentelemetry import context, trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from shared.endpoints import cluster_name
from shared.model import Operation
from shared.telemetry import names

type Attributes = Mapping[str, str | int]

_tracer = trace.get_tracer("tracker")

_LINKS = context.create_key("tracker links")

# The process's, as the providers are; a dictionary, since it is changed and not replaced.
_share = {"percent": 100}


def sample(percent: int) -> None:
    """Send this share of the traces from now on, and what failed of the others."""
    _share["percent"] = percent


def is_sampled(trace_id: int) -> bool:
    """Whether all of a trace is sent. An ID is a digest, so that any part of it is uniform."""
    return trace_id % 100 < _share["percent"]


@contextmanager
def step(
    name: str,
    operation: Operation,
    root_operation_id: str,
    attempt: int,
    *,
    expected: type[Exception] | tuple[()] = (),
) -> Iterator[None]:
    """Take what is done within for one step of the operation's trace; an error that leaves it is its failure.

    Args:
        name: What is done, such as ``poll``.
        operation: Whose step it is.
        root_operation_id: The operation that upstream submitted.
        attempt: The operation's.
        expected: An error that is no failure.
    """
    if not _is_wanted():
        yield
        return
    links = _links()
    attributes: Attributes = {**names(operation), "root_operation_id": root_operation_id, "attempt": attempt}
    with (
        within(operation, root_operation_id, links),
        _written_down(name, SpanKind.INTERNAL, attributes, expected, links),
    ):
        yield


@contextmanager
def within(operation: Operation, root_operation_id: str, links: list[Link] | None = None) -> Iterator[None]:
    """Take what is logged within for a part of the operation's trace."""
    if not _is_wanted():
        yield
        return
    key = operation.key
    is_root = root_operation_id == operation.operation_id
    root_key = key if is_root else replace(operation, operation_id=root_operation_id).key
    # The operation as a span that is never sent: it only holds the operation's steps together, which are hours apart.
    whole = SpanContext(int(root_key, 16), int(key[:16], 16), True, TraceFlags(TraceFlags.SAMPLED))  # noqa: FBT003, is_remote
    spanned = trace.set_span_in_context(NonRecordingSpan(whole))
    token = context.attach(context.set_value(_LINKS, links, spanned) if links is not None else spanned)
    try:
        yield
    finally:
        context.detach(token)


def _is_wanted() -> bool:
    """Whether there is anybody to send a trace: to make it takes a twentieth of a poll's processor time."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def _links() -> list[Link]:
    """To the function's invocation, if the host has named it: that is a trace of its own. A step within one has its."""
    outer = context.get_value(_LINKS)
    if isinstance(outer, list):
        return outer
    invocation = trace.get_current_span().get_span_context()
    return [Link(invocation)] if invocation.is_valid else []


def call(
    name: str, operation: Operation, *, expected: type[Exception] | tuple[()] = ()
) -> AbstractContextManager[None]:
    """Take what is done within for a call of ADX, a part of the present step; outside of one it is always sent."""
    if not _is_wanted():
        return nullcontext()
    attributes = {"operation_id": operation.operation_id, "peer.service": cluster_name(operation.cluster)}
    return _written_down(name, SpanKind.CLIENT, attributes, expected)


@contextmanager
def _written_down(
    name: str,
    kind: SpanKind,
    attributes: Attributes,
    expected: type[Exception] | tuple[()],
    links: list[Link] | None = None,
) -> Iterator[None]:
    began = time.time_ns()
    failure: str | None = None
    try:
        yield
    except expected:
        raise
    except Exception as error:
        # Its name alone: the text of another's error may quote a URL. The log line says more.
        failure = type(error).__name__
        raise
    finally:
        if failure or is_sampled(trace.get_current_span().get_span_context().trace_id):
            span = _tracer.start_span(name, kind=kind, attributes=dict(attributes), links=links, start_time=began)
            if failure:
                span.set_attribute("error.type", failure)
                span.set_status(StatusCode.ERROR, failure)
            span.end()

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import tracing
from tests.support.facts import OPERATION

RETRY = replace(OPERATION, operation_id="retry")


class Gone(Exception):
    pass


@cache
def exporter() -> InMemorySpanExporter:
    """The process's, as OpenTelemetry lets the provider be set once."""
    provider, made = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(made))
    trace.set_tracer_provider(provider)
    return made


@pytest.fixture(autouse=True)
def all_traces() -> Iterator[None]:
    exporter().clear()
    tracing.sample(100)
    yield
    tracing.sample(100)


def spans() -> list[ReadableSpan]:
    return list(exporter().get_finished_spans())


def test_all_steps_of_an_operation_and_its_retries_are_one_trace() -> None:
    root = OPERATION.operation_id
    with tracing.step("register", OPERATION, root, 1):
        pass
    with tracing.step("poll", OPERATION, root, 1):
        pass
    with tracing.step("poll", RETRY, root, 2):
        pass
    assert [span.name for span in spans()] == ["register", "poll", "poll"]
    assert {f"{span.context.trace_id:032x}" for span in spans()} == {OPERATION.key}
    assert [span.attributes["operation_id"] for span in spans() if span.attributes] == [root, root, "retry"]
    parents = [span.parent.span_id for span in spans() if span.parent]
    assert parents[0] == parents[1] != parents[2]


def test_a_call_of_adx_is_a_part_of_its_step() -> None:
    with tracing.step("poll", OPERATION, OPERATION.operation_id, 1), tracing.call("adx.status", OPERATION):
        pass
    call, step = spans()
    assert (call.name, call.context.trace_id) == ("adx.status", step.context.trace_id)
    assert call.kind is trace.SpanKind.CLIENT


def test_what_failed_says_how_and_quotes_nothing() -> None:
    with pytest.raises(ValueError, match="secret"), tracing.step("poll", OPERATION, "root", 1):
        raise ValueError("secret")
    (span,) = spans()
    assert not span.status.is_ok
    assert span.status.description == "ValueError"
    assert not span.events
    assert "secret" not in span.to_json()


def test_an_expected_error_is_expected() -> None:
    with pytest.raises(Gone), tracing.step("poll", OPERATION, "root", 1, expected=Gone):
        raise Gone
    (span,) = spans()
    assert span.status.is_ok


def test_sampling_takes_whole_traces_and_leaves_out_expected() -> None:
    tracing.sample(10)
    many = [replace(OPERATION, operation_id=str(number)) for number in range(1000)]
    for operation in many:
        for name in ("register", "poll"):
            with tracing.step(name, operation, operation.operation_id, 1):
                pass
    taken = [span.context.trace_id for span in spans()]
    assert 50 < len(set(taken)) < 150
    assert sorted(taken) == sorted([*set(taken), *set(taken)])
    exporter().clear()
    for operation in many:
        with pytest.raises(Gone), tracing.step("poll", operation, operation.operation_id, 1):
            raise Gone
    assert len(spans()) == 1000


def test_no_sampling_still_sends_failures() -> None:
    tracing.sample(0)
    with tracing.step("poll", OPERATION, "root", 1):
        pass
    with pytest.raises(Gone), tracing.step("poll", OPERATION, "root", 1):
        raise Gone
    (span,) = spans()
    assert not span.status.is_ok


def test_a_step_is_linked_to_the_invocation_and_leaves_its_context_as_it_was() -> None:
    with trace.get_tracer("host").start_as_current_span("invocation") as invocation:
        with tracing.step("poll", OPERATION, "root", 1):
            assert trace.get_current_span().get_span_context().trace_id != invocation.get_span_context().trace_id
        assert trace.get_current_span() is invocation
    step, _ = spans()
    assert [link.context for link in step.links] == [invocation.get_span_context()]


def test_a_step_within_a_step_is_linked_to_the_invocation_alone() -> None:
    with (
        trace.get_tracer("host").start_as_current_span("invocation") as invocation,
        tracing.step("resubmit", OPERATION, OPERATION.operation_id, 1),
        tracing.step("register", RETRY, OPERATION.operation_id, 2),
    ):
        pass
    register, resubmit, _ = spans()
    assert [link.context for link in register.links] == [invocation.get_span_context()]
    assert [link.context for link in resubmit.links] == [invocation.get_span_context()]

from collections.abc import Iterator

import pytest

from shared import errors, metrics
from shared.errors import KustoError
from shared.kusto.measured import MeasuredAdx
from tests.support.asking import ACCEPTED, PROPERTIES, SOURCES, SUMMARY, Asker
from tests.support.http_server import Reply, ScriptedServer
from tests.support.recorded import Recorded


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def asker(server: ScriptedServer) -> Iterator[Asker]:
    made = Asker(server.origin)
    yield made
    made.client.close()


def test_every_error_of_adx_has_a_name_as_an_answer() -> None:
    kinds = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, KustoError)}
    assert len(kinds) == 8
    assert [kind for kind in kinds if "answer" not in vars(kind)] == []
    assert len({kind.answer for kind in kinds} | {"ok"}) == len(kinds) + 1


def test_calls_are_counted_by_answer_and_timed(server: ScriptedServer, asker: Asker) -> None:
    adx, recorded = MeasuredAdx(asker.client), Recorded()
    server.answer(SUMMARY, SUMMARY, ACCEPTED)
    adx.status(asker.operation, details=False)
    adx.status(asker.operation, details=True)
    adx.submit(asker.operation, SOURCES, PROPERTIES)
    assert recorded.of(metrics.ADX_CALLS, "call", "answer") == {
        ("status", "ok"): 1,
        ("details", "ok"): 1,
        ("submit", "ok"): 1,
    }
    times = recorded.of(metrics.ADX_LATENCY, "call")
    assert times.keys() == {("status",), ("details",), ("submit",)}
    assert all(0 < time < 30 for time in times.values())


@pytest.mark.parametrize(
    ("status", "answer"),
    [(403, "role_missing"), (404, "not_found"), (429, "throttled"), (503, "unavailable"), (400, "rejected")],
)
def test_an_error_is_an_answer_too(server: ScriptedServer, asker: Asker, status: int, answer: str) -> None:
    adx, recorded = MeasuredAdx(asker.client), Recorded()
    server.answer(Reply(status))
    with pytest.raises(KustoError):
        adx.status(asker.operation, details=False)
    assert recorded.of(metrics.ADX_CALLS, "call", "answer") == {("status", answer): 1}
    assert recorded.of(metrics.ADX_LATENCY, "call").keys() == {("status",)}


def test_a_defect_of_ours_is_no_good_answer(
    server: ScriptedServer, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("shared.kusto.client.read_status", broken)
    adx, recorded = MeasuredAdx(asker.client), Recorded()
    server.answer(SUMMARY)
    with pytest.raises(ZeroDivisionError):
        adx.status(asker.operation, details=False)
    assert recorded.of(metrics.ADX_CALLS, "call", "answer") == {("status", "failed"): 1}

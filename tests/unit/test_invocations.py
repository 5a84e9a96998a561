"""An error that leaves a function is told of by the app itself, and still reaches the host."""

from typing import Any, cast

import pytest
from azure.core.exceptions import HttpResponseError

from shared import metrics
from shared.app import Tracker, tracker
from shared.invocation import StorageFailed
from shared.settings import load
from tests.support.recorded import Recorded

NOWHERE = "AccountName=acc;AccountKey=a2V5;QueueEndpoint=http://127.0.0.1:9/acc;TableEndpoint=http://127.0.0.1:9/acc"


class Broken:
    """Whatever is asked of it fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, _: str) -> Any:  # noqa: ANN401, any method
        def fails(*_: object) -> None:
            raise self.error

        return fails


@pytest.mark.parametrize(
    ("function", "part"),
    [("poll_operations", "_poller"), ("prune_results", "_pruner"), ("measure_backlog", "_backlog")],
)
def test_a_run_that_fails_is_counted_and_logged(function: str, part: str, caplog: pytest.LogCaptureFixture) -> None:
    recorded = Recorded()
    app = object.__new__(Tracker)
    setattr(app, part, cast("Any", Broken(HttpResponseError("503 ?sig=c2VjcmV0MTIz\nmore"))))
    with pytest.raises(StorageFailed):
        getattr(app, function)()
    assert recorded.of(metrics.FUNCTIONS_FAILURES) == {(function,): 1}
    (record,) = caplog.records
    facts = vars(record)
    assert (facts["event"], facts["function"], record.levelname) == ("function.failed", function, "ERROR")
    assert facts["error"] == "HttpResponseError: 503 ?sig=…"


def test_a_defect_is_told_of_by_its_name_and_goes_on_to_the_host() -> None:
    recorded = Recorded()
    app = object.__new__(Tracker)
    app._poller = cast("Any", Broken(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        app.poll_operations()
    assert recorded.of(metrics.FUNCTIONS_FAILURES) == {("poll_operations",): 1}


def test_an_app_that_can_not_be_put_together_is_a_failure_of_the_start() -> None:
    recorded = Recorded()
    settings = load({"IngestionStorage": NOWHERE, "KUSTO_INGEST_URI": "http://127.0.0.1:9", "KUSTO_AUTH": "none"})
    with pytest.raises(StorageFailed):
        tracker(settings)
    assert recorded.of(metrics.FUNCTIONS_FAILURES) == {("start",): 1}

import logging
from dataclasses import replace

import pytest

from shared import app, telemetry_export
from shared.ambient import Ambient
from shared.app import tracker
from shared.invocation import StorageFailed
from shared.settings import Settings, Telemetry, load

INSIGHTS = "InstrumentationKey=00000000-0000-0000-0000-00000000000{};IngestionEndpoint=https://example.com/"


def settings(number: int) -> Settings:
    return load(
        {
            "IngestionStorage": "AccountName=acc;AccountKey=a2V5;EndpointSuffix=core.windows.net",
            "KUSTO_INGEST_URI": "https://ingest-help.westeurope.kusto.windows.net",
            "APPLICATIONINSIGHTS_CONNECTION_STRING": INSIGHTS.format(number),
        }
    )


def test_a_start_that_storage_fails_again_and_again_sets_telemetry_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Telemetry] = []

    def unreachable(_: Settings, __: Ambient) -> None:
        raise StorageFailed("no storage")

    monkeypatch.setattr(telemetry_export, "start", made.append)
    monkeypatch.setattr(app, "Tracker", unreachable)
    mine = settings(1)
    for _ in range(3):
        with pytest.raises(StorageFailed, match="no storage"):
            tracker(mine)
    assert made == [mine.telemetry]


def test_telemetry_that_can_not_be_set_up_stops_nobody_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(telemetry: Telemetry) -> None:
        raise ValueError(f"can't read {telemetry.connection_string}?sig=c2VjcmV0MTIz")

    monkeypatch.setattr(telemetry_export, "start", broken)
    monkeypatch.setattr(app, "Tracker", lambda _, __: None)
    mine = settings(2)
    tracker(mine)
    tracker(replace(mine, database="other"))
    (record,) = [each for each in caplog.records if each.name == "tracker"]
    assert (vars(record)["event"], record.levelno) == ("telemetry.failed", logging.ERROR)
    assert "c2VjcmV0MTIz" not in caplog.text

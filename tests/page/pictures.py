"""`python -m tests.page.pictures`, run by `./dev screenshot`: the README's pictures of the dashboard, of a made-up day.

The page is the app's own. What it shows comes from the stand-in of its tests: a demo lasts a minute and fills one bar.
"""

import argparse
import math
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Error as BrowserFailed

from local.processes import ProcessFailed
from local.screenshot import FOLDER, take
from shared.explanations import EXPLANATIONS
from tests.page import facts
from tests.page.facts import Json
from tests.page.stand_in import StandIn, serving

LOADS = {"Orders": 9, "OrderLines": 9, "Clicks": 14, "Sensors": 6, "Weather": 2}
"""How many operations of each table come in an hour, at noon."""
CODES = (
    "Stream_WrongNumberOfFields",
    "Download_SourceNotFound",
    "BadRequest_InvalidBlob",
    "General_ThrottledIngestion",
)
OPENED_AGE = 1500
FIRST_TRY = "4f1c9e60-7d2a-4b83-9a57-2f86c0d1e3b4"


def main() -> None:
    """Renews the pictures; exits with status 1 where a browser can't be had, or a picture is too large."""
    parser = argparse.ArgumentParser(prog="./dev screenshot", description="Renews the pictures of the dashboard.")
    parser.add_argument("--to", type=Path, default=FOLDER, metavar="FOLDER", help="default: docs/images")
    arguments = parser.parse_args()
    try:
        with serving(made_up_day()) as state:
            take(f"{state.uri}/api/dashboard", arguments.to, period="day")
    except (BrowserFailed, ProcessFailed) as error:
        sys.exit(f"./dev screenshot: {error}")


def made_up_day(seed: int = 11) -> StandIn:
    """A day's loads until now: fewer at night, some of which fail, and one that a person should look at."""
    operations = sorted(_loads(random.Random(seed)), key=_registered, reverse=True)
    state = StandIn(operations=operations, changed={"error-codes": {"errorCodes": list(_explanations())}})
    for each in state.blobs_of(FIRST_TRY)[:4]:
        each |= {
            "retryState": "AttemptsExhausted",
            "errorCode": "General_ThrottledIngestion",
            "failureStatus": "Transient",
        }
        each["details"] = "The ingestion was throttled: the cluster is at the limit of its ingestion capacity."
    running = [each for each in operations if each["state"] == "InProgress"]
    state.outstanding = {
        "count": len(running),
        "overdue": 0,
        "oldestRegisteredAt": running[-1]["registeredAt"] if running else None,
        "measuredAt": facts.text(facts.now() - timedelta(seconds=20)),
    }
    return state


def _explanations() -> Iterator[Json]:
    for each in EXPLANATIONS.values():
        names = ("code", "category", "description", "summary", "advice")
        yield {name: getattr(each, name) for name in names} | {"failureStatus": each.failure_status.value}


def _registered(operation: Json) -> str:
    at: str = operation["registeredAt"]
    return at


def _loads(chance: random.Random) -> Iterator[Json]:
    now = datetime.now(UTC)
    for table, hourly in LOADS.items():
        age = chance.uniform(10, 400)
        while age < 86_000:
            hour = (now - timedelta(seconds=age)).hour
            busy = 0.55 - 0.45 * math.cos(math.tau * (hour - 1) / 24)
            yield _load(table, age, chance)
            age += chance.expovariate(hourly * busy / 3600)
    changes = {"table": "Weather", "firstErrorCode": "General_ThrottledIngestion", "lastError": None}
    yield facts.operation(FIRST_TRY, state="PartiallySucceeded", age=OPENED_AGE, **_counts(36, 4), **changes)


def _load(table: str, age: float, chance: random.Random) -> Json:
    took, blobs = chance.uniform(70, 420), chance.randint(6, 60)
    state = chance.choices(("Succeeded", "PartiallySucceeded", "Failed", "TimedOut"), (935, 40, 22, 3))[0]
    if age < took:
        state = "InProgress"
    failed = {"Succeeded": 0, "PartiallySucceeded": chance.randint(1, 5), "Failed": blobs}.get(state, 0)
    made = facts.operation(
        f"{chance.getrandbits(32):08x}-{chance.getrandbits(16):04x}-4{chance.getrandbits(12):03x}"
        f"-a{chance.getrandbits(12):03x}-{chance.getrandbits(48):012x}",
        state=state,
        age=age,
        table=table,
        firstErrorCode=chance.choices(CODES, (5, 3, 2, 4))[0] if failed else None,
        **_counts(blobs, failed, is_running=state == "InProgress"),
    )
    if made["settledAt"]:
        made["settledAt"] = facts.text(datetime.fromisoformat(made["registeredAt"]) + timedelta(seconds=took))
    return made


def _counts(blobs: int, failed: int, *, is_running: bool = False) -> Json:
    done = 0 if is_running else blobs - failed
    return {"blobs": {"succeeded": done, "failed": failed, "inProgress": blobs - failed - done, "canceled": 0}}


if __name__ == "__main__":
    main()

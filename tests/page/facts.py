"""Operations and blobs as the API tells of them, made up for the page."""

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

CLUSTER = "https://ingest-sales.westeurope.kusto.windows.net"
HOSTILE = "<img src=x onerror=\"document.title='taken'\"> & ' % / \u202e"
TABLES = ("Orders", "OrderLines", "Clicks", "Sensors")
CODES = (
    "Stream_WrongNumberOfFields",
    "Download_SourceNotFound",
    "BadRequest_InvalidBlob",
    "General_ThrottledIngestion",
)

type Json = dict[str, Any]


def now() -> datetime:
    """The present, as the API tells it."""
    return datetime.now(UTC)


def text(at: datetime) -> str:
    """A time as the API writes it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def operation(operation_id: str, *, state: str = "Succeeded", age: float = 600, **changes: object) -> Json:
    """An operation that was registered so many seconds ago, of 20 blobs."""
    at = datetime.now(UTC) - timedelta(seconds=age)
    is_running, failed = state == "InProgress", {"Failed": 20, "PartiallySucceeded": 3}.get(state, 0)
    counts = {"succeeded": 0 if is_running else 20 - failed, "failed": failed, "inProgress": 20 if is_running else 0}
    made = {
        "operationId": operation_id,
        "cluster": CLUSTER,
        "database": "Sales",
        "table": "Orders",
        "state": state,
        "attempt": 1,
        "rootOperationId": operation_id,
        "parentOperationId": None,
        "correlationId": "nightly-2026-11-24",
        "registeredAt": text(at),
        "startTime": text(at - timedelta(seconds=2)),
        "lastUpdated": text(at + timedelta(seconds=min(age, 95))),
        "settledAt": None if is_running else text(at + timedelta(seconds=min(age, 100))),
        "blobs": {**counts, "canceled": 0},
        "polls": 4,
        "transientFailures": 0,
        "permanentFailures": failed,
        "retriedBlobs": 0,
        "firstErrorCode": CODES[0] if failed else None,
        "lastError": "Line 1: wrong number of fields" if failed else None,
    }
    return {**made, **changes}


def blob(number: int, *, status: str = "Succeeded", **changes: object) -> Json:
    """A blob of an operation."""
    has_failed = status == "Failed"
    made = {
        "blobKey": f"{number:032x}",
        "url": f"https://landing.blob.core.windows.net/orders/2026/11/24/part-{number:05}.csv.gz",
        "sourceId": f"00000000-0000-0000-0000-{number:012}",
        "status": status,
        "startTime": None,
        "lastUpdated": text(datetime.now(UTC)),
        "errorCode": CODES[0] if has_failed else None,
        "failureStatus": "Permanent" if has_failed else None,
        "details": "Record 17 has 11 fields where the table has 12." if has_failed else None,
        "retryState": None,
        "retryReason": None,
        "retryOperationId": None,
        "attempt": 1,
        "redrivenBy": None,
        "redrivenAt": None,
    }
    return {**made, **changes}


def blobs_of(facts: Mapping[str, Any]) -> list[Json]:
    """Blobs that fit an operation's counts, failed ones first."""
    statuses = {"failed": "Failed", "inProgress": "InProgress", "canceled": "Canceled", "succeeded": "Succeeded"}
    all_statuses = [status for name, status in statuses.items() for _ in range(facts["blobs"][name])]
    codes = {"errorCode": facts["firstErrorCode"]}
    return [
        blob(number, status=status, **(codes if status == "Failed" else {}))
        for number, status in enumerate(all_statuses, 1)
    ]


def many(number: int, seconds: float = 86_000, seed: int = 7) -> list[Json]:
    """Operations of all states over a span of time until now, the newest first."""
    chance = random.Random(seed)
    return [_one(place, seconds * place / number, chance) for place in range(number)]


def _one(place: int, age: float, chance: random.Random) -> Json:
    states = ("Succeeded", "PartiallySucceeded", "Failed", "TimedOut", "NotFound", "Canceled")
    state = chance.choices(states, (80, 9, 6, 2, 1, 2))[0] if place > 4 else chance.choice(("InProgress", "Succeeded"))
    failed = {"Failed": 20, "PartiallySucceeded": chance.randint(1, 6)}.get(state, 0)
    open_blobs = chance.randint(3, 20) if state == "InProgress" else 0
    succeeded = 0 if state in {"NotFound", "TimedOut", "Canceled"} else 20 - failed - open_blobs
    counts = {"succeeded": succeeded, "failed": failed, "inProgress": open_blobs}
    code = chance.choices(CODES, (5, 3, 2, 1))[0] if failed else None
    return operation(
        f"{chance.getrandbits(32):08x}-{chance.getrandbits(16):04x}-4{chance.getrandbits(12):03x}-a{place:011x}",
        state=state,
        age=age + 20,
        table=chance.choice(TABLES),
        attempt=chance.choices((1, 2, 3), (90, 8, 2))[0],
        blobs={**counts, "canceled": 20 if state == "Canceled" else 0},
        firstErrorCode=code,
    )


def explanations() -> list[Json]:
    """What is said of some error codes."""
    said = {
        CODES[0]: (
            "A record has more or fewer fields than the table's mapping expects.",
            "Correct the file, then redrive.",
        ),
        CODES[1]: ("The blob was not there when ADX came to read it.", "Upload it again, then redrive."),
        CODES[2]: (
            "The file is damaged or not of the format that was named.",
            "Name the right format, or write it anew.",
        ),
        CODES[3]: ("ADX had too much to do.", "Wait, then redrive; ask for more capacity where it happens often."),
    }
    return [
        {
            "code": code,
            "category": "BadFormat",
            "failureStatus": "Permanent",
            "description": summary,
            "summary": summary,
            "advice": advice,
        }
        for code, (summary, advice) in said.items()
    ]


def health(**unhealthy: str) -> Json:
    """A healthy app, but for what is said of some checks."""
    now = datetime.now(UTC)
    checks: Json = {
        name: {"isHealthy": name not in unhealthy, "detail": unhealthy.get(name, "Fine.")}
        for name in ("storage", "queues", "token", "adx", "poller", "backlog")
    }
    checks["poller"] |= {"lastFinishedAt": text(now), "ageSeconds": 7}
    checks["backlog"] |= {"outstanding": 5, "oldestRegisteredAt": text(now), "oldestAgeSeconds": 240}
    return {"status": "unhealthy" if unhealthy else "healthy", "checkedAt": text(now), "checks": checks}


def total(operations: Iterable[Mapping[str, Any]], outcome: str) -> int:
    """How many blobs of operations have an outcome."""
    return sum(each["blobs"][outcome] for each in operations)

"""What was asked of it, counted and, for the last requests, remembered."""

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT = 2_000
# Stands for the status of a request that got no answer, or not all of it.
NO_ANSWER = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """A request and what was answered.

    Attributes:
        at: When it came, in ISO 8601.
        method: The HTTP method.
        path: The path with its query as it came, still encoded.
        kind: status, submit, configuration, bulk or other.
        details: Whether it asked for details.
        headers: The names of its headers.
        authorized: Whether an Authorization header was sent.
        client_request_id: Its `x-ms-client-request-id`, empty without one.
        status: The HTTP status answered; 0 when there was none, or not all of it.
    """

    at: str
    method: str
    path: str
    kind: str
    details: bool
    headers: tuple[str, ...]
    authorized: bool
    client_request_id: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCount:
    """How many requests were alike.

    Attributes:
        kind: status, submit, configuration, bulk or other.
        details: Whether they asked for details.
        status: The HTTP status answered; 0 when there was none, or not all of it.
        count: How many.
    """

    kind: str
    details: bool
    status: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCounts:
    """How many requests there were of each kind.

    Attributes:
        counts: One entry a kind, details and status answered.
    """

    counts: tuple[RequestCount, ...]

    def count(self, kind: str | None = None, *, details: bool | None = None, status: int | None = None) -> int:
        """Returns how many requests there were.

        Args:
            kind: Only of this kind, if given.
            details: Only with details, or only without, if given.
            status: Only those answered with this status, if given.
        """
        return sum(
            entry.count
            for entry in self.counts
            if kind in (None, entry.kind) and details in (None, entry.details) and status in (None, entry.status)
        )


class RequestsLog:
    """Counts requests and keeps the last."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, bool, int]] = Counter()
        self._polls: Counter[str] = Counter()
        self._last: deque[RequestRecord] = deque(maxlen=KEPT)

    def add(self, record: RequestRecord) -> None:
        """Notes a request.

        Args:
            record: The request.
        """
        self._counts[record.kind, record.details, record.status] += 1
        if record.kind == "status" and not record.details:
            self._polls[record.path] += 1
        self._last.append(record)

    def polls(self) -> Counter[int]:
        """Returns how many operations were asked for once without details, how many twice, and so on."""
        return Counter(self._polls.values())

    def to_json(self, *, last: int) -> dict[str, Any]:
        """Returns the counts, and the last requests.

        Args:
            last: How many of the last requests.
        """
        counts = [
            {"kind": kind, "details": details, "status": status, "count": count}
            for (kind, details, status), count in sorted(self._counts.items())
        ]
        records = list(self._last)[-last:] if last else []
        return {"counts": counts, "last": [asdict(record) for record in records]}

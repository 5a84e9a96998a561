"""Faults that can be switched on, and which of them strikes."""

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Literal, get_args

from local.adx_simulator.failures import ALREADY_INGESTED, PERMANENT, TRANSIENT, Failure

type BlobFaultKind = Literal[
    "transient", "mending", "already-ingested", "exhausted", "unknown", "permanent", "stuck", "canceled"
]
type Effect = Literal["error", "html", "empty", "hang", "trickle", "close", "hide-failed", "hide-details"]
type RequestKind = Literal["status", "submit", "configuration", "bulk", "any"]

VIEW_EFFECTS = ("hide-failed", "hide-details")
DEFAULT_STATUS = {"error": 503, "html": 502}
DEFAULT_FAILURES = {
    "transient": ("General_ThrottledIngestion", TRANSIENT),
    "mending": ("General_ThrottledIngestion", TRANSIENT),
    "already-ingested": (ALREADY_INGESTED, PERMANENT),
    "exhausted": ("General_RetryAttemptsExceeded", "Exhausted"),
    "unknown": ("Unknown", "Unknown"),
    "permanent": ("BadRequest_MissingMappingFailure", PERMANENT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobFault:
    """What befalls a blob that is submitted while the fault is on, instead of its ingestion.

    Attributes:
        kind: `transient`, `exhausted`, `unknown`, `permanent`: Failed, with that `failureStatus`. `already-ingested`:
            Failed with Skipped_IngestByTagAlreadyExists. `mending`: Failed and Transient for `seconds`, InProgress for
            as long again, and then truly ingested; sooner when it is told to mend. `stuck`: InProgress for ever.
            `canceled`: Canceled. None but `mending` ingests a row.
        url_contains: Strikes blobs whose URL contains this.
        database: Strikes this database alone, if given.
        table: Strikes tables of this name alone, if given.
        submissions: Strikes only the first so many submissions of a blob, counted over all operations; all if None.
        share: The share of blobs that it strikes. The seed and the blob's URL decide, so a blob's fate stays the same.
        seconds: See `mending`.
        code: Another `errorCode` than the kind's own.
        failure_status: Another `failureStatus` than the kind's own.
        details: Another free text.
    """

    kind: BlobFaultKind
    url_contains: str = ""
    database: str | None = None
    table: str | None = None
    submissions: int | None = None
    share: float = 1.0
    seconds: float = 1.0
    code: str | None = None
    failure_status: str | None = None
    details: str | None = None

    def __post_init__(self) -> None:
        _check("kind", self.kind, get_args(BlobFaultKind.__value__))

    def failure(self) -> Failure:
        """Returns the failure that its blobs show."""
        code, status = DEFAULT_FAILURES[self.kind]
        text = self.details or f"A fault of the kind '{self.kind}' that was switched on"
        return Failure(self.code or code, self.failure_status or status, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFault:
    """What befalls a request.

    Attributes:
        effect: `error`: a Kusto error body with `status`. `html`: a gateway's page. `empty`: no body. `hang`: no answer
            for `seconds`, then the true one; none ever without `seconds`. `trickle`: the true answer, a byte each
            `seconds`. `close`: the connection is closed without an answer. `hide-failed`: failed blobs are counted but
            missing in the details. `hide-details`: the details are an empty list. The last two strike answers with
            details alone, and `hide-failed` only those with a failed blob.
        request: The kind of request that it strikes.
        details: Strikes status requests with details only, or without only, if given.
        database: Strikes this database alone, if given.
        table: Strikes tables of this name alone, if given.
        operation_contains: Strikes status requests alone whose operation ID contains this.
        app: Strikes requests alone whose `x-ms-app` is this, if given: upstream's may then pass unharmed.
        times: Strikes so many requests and no more; all if None.
        share: The share of requests that it strikes.
        accepted: For submissions: the blobs are taken and will be ingested before the answer goes wrong.
        status: The HTTP status; 503 for `error`, 502 for `html`, 200 for `empty` if None.
        retry_after: The header of that name, verbatim.
        seconds: See `hang` and `trickle`.
        code: The `code` in the Kusto error body.
        permanent: The `@permanent` in it; what fits the status if None.
    """

    effect: Effect
    request: RequestKind = "any"
    details: bool | None = None
    database: str | None = None
    table: str | None = None
    operation_contains: str = ""
    app: str | None = None
    times: int | None = None
    share: float = 1.0
    accepted: bool = False
    status: int | None = None
    retry_after: str | None = None
    seconds: float | None = None
    code: str | None = None
    permanent: bool | None = None

    def __post_init__(self) -> None:
        _check("effect", self.effect, get_args(Effect.__value__))
        _check("request", self.request, get_args(RequestKind.__value__))

    def http_status(self) -> int:
        """Returns the HTTP status that it answers with."""
        return self.status or DEFAULT_STATUS.get(self.effect, 200)


type Fault = BlobFault | RequestFault


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What of a request a fault can look at.

    Attributes:
        kind: status, submit, configuration, bulk or other.
        database: From its path.
        table: From its path.
        operation_id: From its path.
        details: Whether it asks for details.
        app: Its `x-ms-app`.
    """

    kind: str
    database: str = ""
    table: str = ""
    operation_id: str = ""
    details: bool = False
    app: str = ""


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """What of a submitted blob a fault can look at.

    Attributes:
        url: Its URL without the query.
        database: Where it goes.
        table: Where it goes.
        submission: The how-manieth submission of this blob it is, from 1.
    """

    url: str
    database: str
    table: str
    submission: int


class Faults:
    """The faults that are on, and how often each has struck.

    Attributes:
        struck: How often, in the order of the faults.
    """

    def __init__(self, faults: Sequence[Fault], *, seed: int, rng: random.Random) -> None:
        self._faults = list(faults)
        self._seed = seed
        self._rng = rng
        self.struck = [0] * len(self._faults)

    def for_request(self, facts: RequestFacts) -> RequestFault | None:
        """Returns the fault that strikes a request as a whole, the first one listed of several.

        Args:
            facts: What is known of the request.
        """
        return self._first_request(lambda fault: fault.effect not in VIEW_EFFECTS and concerns_request(fault, facts))

    def for_view(self, facts: RequestFacts, *, failed: int) -> RequestFault | None:
        """Returns the fault that falsifies an answer about status.

        Args:
            facts: What is known of the request.
            failed: How many blobs of the operation have failed.
        """
        if not facts.details:
            return None
        effects = VIEW_EFFECTS if failed else ("hide-details",)
        return self._first_request(lambda fault: fault.effect in effects and concerns_request(fault, facts))

    def for_blob(self, facts: BlobFacts) -> BlobFault | None:
        """Returns the fault that strikes a blob, the first one listed of several.

        Args:
            facts: What is known of the blob.
        """
        for index, fault in enumerate(self._faults):
            if isinstance(fault, BlobFault) and strikes_blob(fault, facts, f"{self._seed}/{index}"):
                self.struck[index] += 1
                return fault
        return None

    def listing(self) -> list[dict[str, Any]]:
        """Returns every fault as JSON with how often it struck."""
        return [{**fault_json(fault), "struck": n} for fault, n in zip(self._faults, self.struck, strict=True)]

    def _first_request(self, concerns: Callable[[RequestFault], bool]) -> RequestFault | None:
        for index, fault in enumerate(self._faults):
            if not isinstance(fault, RequestFault) or not concerns(fault):
                continue
            if fault.times is not None and self.struck[index] >= fault.times:
                continue
            if fault.share >= 1 or self._rng.random() < fault.share:
                self.struck[index] += 1
                return fault
        return None


def concerns_request(fault: RequestFault, facts: RequestFacts) -> bool:
    """Returns whether a request is one of those that a fault is for.

    Args:
        fault: The fault.
        facts: What is known of the request.
    """
    return (
        fault.request in ("any", facts.kind)
        and fault.details in (None, facts.details)
        and fault.database in (None, facts.database)
        and fault.table in (None, facts.table)
        and fault.operation_contains in facts.operation_id
        and fault.app in (None, facts.app)
    )


def strikes_blob(fault: BlobFault, facts: BlobFacts, salt: str) -> bool:
    """Returns whether a fault strikes a blob.

    Args:
        fault: The fault.
        facts: What is known of the blob.
        salt: Makes another choice of the share of blobs.
    """
    return (
        fault.url_contains in facts.url
        and fault.database in (None, facts.database)
        and fault.table in (None, facts.table)
        and (fault.submissions is None or facts.submission <= fault.submissions)
        and (fault.share >= 1 or lot(f"{salt}/{facts.url}") < fault.share)
    )


def fault_json(fault: Fault) -> dict[str, Any]:
    """Returns a fault as JSON for the control endpoint.

    Args:
        fault: The fault.
    """
    return {"type": "blob" if isinstance(fault, BlobFault) else "request", **asdict(fault)}


def fault_from_json(data: dict[str, Any]) -> Fault:
    """Returns the fault that `fault_json` wrote.

    Args:
        data: Its fields and `type`; those with a default may be missing.

    Raises:
        ValueError: A field is unknown, missing, or has a wrong value.
    """
    fields = dict(data)
    kind = fields.pop("type", None)
    try:
        if kind == "blob":
            return BlobFault(**fields)
        if kind == "request":
            return RequestFault(**fields)
    except TypeError as error:
        raise ValueError(str(error)) from error
    raise ValueError(f"the type of a fault is 'blob' or 'request', not {kind!r}")


def lot(text: str) -> float:
    """Returns a number in [0, 1) that a text alone decides.

    Args:
        text: The text.
    """
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) / 2**64


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, which is none of {', '.join(allowed)}")

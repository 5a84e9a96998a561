"""The app's HTTP API in memory: it answers as the real one does, holds what a test puts in, and fails on purpose.

Queries are read by the real API's own declarations, and each answer is held against its OpenAPI document.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jsonschema_rs
from aiohttp import web

from shared import api, dashboard_files
from shared.api.openapi import document
from shared.api.parameters import read_query
from shared.api.problems import BadRequest
from shared.model import OperationState
from tests.page import facts
from tests.page.facts import Json
from tests.support.api import SETTINGS

DOCUMENT = document(SETTINGS)
GIVEN_UP = {None, "AttemptsExhausted", "NotResubmittable"}
PLACE = ("cluster", "database", "table")
UNCHANGED = object()
# Reached by a failure alone.
STALLED_SECONDS = 60

type Query = dict[str, str]


@dataclass(frozen=True)
class Asked:
    """A request that came to the API."""

    method: str
    path: str
    query: dict[str, str]
    key: str | None
    body: Any = None


@dataclass
class StandIn:
    """What the API has to tell. A test changes it while the page looks.

    Attributes:
        operations: The newest first.
        blobs: Of an operation's ID; made to fit its counts where there are none.
        health: What it says of the app.
        outstanding: What it measured to be outstanding.
        is_complete: Whether the summary counts all.
        key: What it asks for, if anything.
        failing: The status, or 0 for a broken connection, that a path answers with instead; "" stands for all.
        retry_after: The seconds that a failure asks to be left alone for.
        changed: What a path answers with instead, be it what the API has never promised.
        refusal: The problem that a redrive is refused with.
        asked: The requests that came, but for those of files.
        lies: Where an answer was not what the OpenAPI document promises.
    """

    operations: list[Json] = field(default_factory=list)
    blobs: dict[str, list[Json]] = field(default_factory=dict)
    health: Json = field(default_factory=facts.health)
    outstanding: Json | None = None
    is_complete: bool = True
    key: str | None = None
    failing: dict[str, int] = field(default_factory=dict)
    retry_after: int | None = None
    changed: dict[str, Any] = field(default_factory=dict)
    refusal: Json | None = None
    asked: list[Asked] = field(default_factory=list)
    lies: list[str] = field(default_factory=list)
    uri: str = ""

    def at_this_moment(self) -> list[Json]:
        """The operations: a test may add some or take some away while an answer is made."""
        return self.operations.copy()

    def of(self, operation_id: str) -> Json:
        """The operation of an ID."""
        return next(each for each in self.at_this_moment() if each["operationId"] == operation_id)

    def blobs_of(self, operation_id: str) -> list[Json]:
        """The blobs of an operation."""
        if operation_id not in self.blobs:
            self.blobs[operation_id] = facts.blobs_of(self.of(operation_id))
        return self.blobs[operation_id]

    def redrives(self) -> list[Asked]:
        """The redrives that were asked for."""
        return [each for each in self.asked if each.path.endswith("/redrive")]


class _Refused(Exception):
    def __init__(self, status: int, title: str, detail: str) -> None:
        self.problem: Json = {"type": "about:blank", "title": title, "status": status, "detail": detail}


@contextmanager
def serving(state: StandIn) -> Iterator[StandIn]:
    """The stand-in on a port of this machine, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="the API's stand-in", daemon=True)
    thread.start()
    runner = web.AppRunner(_application(state), access_log=None, shutdown_timeout=0.1)

    async def start() -> str:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    state.uri = asyncio.run_coroutine_threadsafe(start(), loop).result(STALLED_SECONDS)
    try:
        yield state
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(STALLED_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STALLED_SECONDS)
        loop.close()


def _application(state: StandIn) -> web.Application:
    application = web.Application()
    for endpoint, answer in ANSWERS:
        path = f"/api{endpoint.path}"
        application.router.add_route(endpoint.method, path, _handler(state, endpoint, answer))
    application.router.add_get("/api/dashboard", _file)
    application.router.add_get("/api/dashboard/{file}", _file)
    return application


async def _file(request: web.Request) -> web.Response:
    known, name = request.headers.get("If-None-Match", ""), request.match_info.get("file")
    reply = dashboard_files.serve(name, known) if name else dashboard_files.start(str(request.url), known)
    return web.Response(status=reply.status, headers=reply.headers, body=reply.body)


def _handler(
    state: StandIn, endpoint: api.Endpoint, answer: Callable[[StandIn, Query], Json]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    promised = _promised(endpoint)

    async def handle(request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/api/")
        body = await request.json() if request.method == "POST" else None
        key = request.headers.get("x-functions-key")
        state.asked.append(Asked(request.method, path, dict(request.query), key, body))
        for beginning, status in list(state.failing.items()):
            if path.startswith(beginning):
                return _failure(request, status, state.retry_after)
        if state.key is not None and key != state.key:
            return web.Response(status=401)
        if (changed := state.changed.get(path, UNCHANGED)) is not UNCHANGED:
            return web.json_response(changed)
        try:
            read_query(request.query_string, endpoint.parameters)
            content = answer(state, {**request.match_info, **request.query})
        except BadRequest as error:
            return _problem({"type": "about:blank", "title": "Not understood", "status": 400, "detail": str(error)})
        except _Refused as refused:
            return _problem(refused.problem)
        state.lies += [f"{path}: {error.message[:300]}" for error in promised.iter_errors(content)]
        return web.json_response(content, status=503 if content.get("status") == "unhealthy" else 200)

    return handle


def _promised(endpoint: api.Endpoint) -> jsonschema_rs.Draft202012Validator:
    name = endpoint.replies[200].schema
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    )


def _problem(content: Json) -> web.Response:
    return web.json_response(content, status=content["status"], content_type="application/problem+json")


def _failure(request: web.Request, status: int, retry_after: int | None) -> web.Response:
    if status == 0:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
    # As a gateway before the app does: no JSON.
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    text = "<html>Something is wrong</html>"
    return web.Response(status=status, text=text, content_type="text/html", headers=headers)


def _operations(state: StandIn, query: Query) -> Json:
    limit = int(query.get("limit", "50"))
    # A place in the order of time, as the real token is: what comes in before it changes nothing.
    after = query.get("continuationToken")
    found = [each for each in state.at_this_moment() if _fits(each, query) and (not after or _position(each) > after)]
    page = found[:limit]
    is_more = len(found) > limit and "operationId" not in query
    return {"operations": page, "continuationToken": _position(page[-1]) if is_more else None}


@cache
def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _position(operation: Json) -> str:
    inverted = 10**13 - int(_moment(operation["registeredAt"]).timestamp() * 1000)
    return f"{inverted:014}|{operation['operationId']}"


def _fits(operation: Json, query: Query) -> bool:
    states = query["state"].split(",") if "state" in query else [operation["state"]]
    at = _moment(operation["registeredAt"])
    return (
        operation["state"] in states
        and all(operation[name] == query.get(name, operation[name]) for name in PLACE)
        and operation["firstErrorCode"] == query.get("errorCode", operation["firstErrorCode"])
        and ("since" not in query or at >= _moment(query["since"]))
        and ("until" not in query or at < _moment(query["until"]))
        and operation["operationId"].startswith(query.get("operationId", ""))
    )


def _named(state: StandIn, query: Query) -> Json:
    wanted = query["operationId"]
    found = [each for each in state.at_this_moment() if each["operationId"] == wanted]
    found = [each for each in found if all(each[name] == query.get(name, each[name]) for name in PLACE)]
    if not found:
        raise _Refused(404, "No such operation", f"No operation {wanted} is known.")
    if len({(each["cluster"], each["database"], each["table"]) for each in found}) > 1:
        raise _Refused(409, "More than one operation has this ID", "Name one of the tables Orders, Clicks.")
    return found[0]


def _operation(state: StandIn, query: Query) -> Json:
    found = _named(state, query)
    root = found["rootOperationId"]
    names = ("operationId", "attempt", "state", "parentOperationId", "registeredAt", "settledAt", "blobs")
    family = sorted((each for each in state.at_this_moment() if each["rootOperationId"] == root), key=_attempt)
    lineage = [{name: each[name] for name in names} for each in family]
    return {**found, "lineage": {"rootOperationId": root, "operations": lineage, "leftOut": 0}}


def _attempt(operation: Json) -> int:
    attempt: int = operation["attempt"]
    return attempt


def _blobs(state: StandIn, query: Query) -> Json:
    statuses = query["status"].split(",") if "status" in query else None
    found = state.blobs_of(_named(state, query)["operationId"])
    wanted = [each for each in found if statuses is None or each["status"] in statuses]
    start, limit = int(query.get("continuationToken", "0")), int(query.get("limit", "100"))
    end = start + limit
    return {"blobs": wanted[start:end], "continuationToken": str(end) if end < len(wanted) else None}


def _redrive(state: StandIn, _: Query) -> Json:
    if state.refusal is not None:
        raise _Refused(state.refusal["status"], state.refusal["title"], state.refusal["detail"])
    name = state.asked[-1].body["operationId"]
    given_up = [each for each in state.blobs_of(name) if each["status"] == "Failed" and each["retryState"] in GIVEN_UP]
    for each in given_up:
        each["retryState"] = "Enqueued"
    state.of(name)["retriedBlobs"] += len(given_up)
    return {"redriveId": "5f0c7a9e", "blobs": len(given_up), "left": 0}


def _summary(state: StandIn, query: Query) -> Json:
    until = datetime.fromisoformat(query["until"]) if "until" in query else datetime.now(UTC)
    since = datetime.fromisoformat(query["since"]) if "since" in query else until - timedelta(days=1)
    seconds = max(60, int((until - since).total_seconds() / 48 / 60) * 60)
    span = {"since": facts.text(since), "until": facts.text(until)}
    found = [each for each in state.at_this_moment() if _fits(each, span)]
    ended = [each for each in found if each["state"] != "InProgress"]
    states = Counter(each["state"] for each in found)
    return {
        "since": facts.text(since),
        "until": facts.text(until),
        "bucketSeconds": seconds,
        "counted": len(found),
        "isComplete": state.is_complete,
        "buckets": list(_buckets(found, seconds)),
        "operations": {each.value: states[each] for each in OperationState},
        "blobs": {name: facts.total(ended, name) for name in ("succeeded", "failed", "inProgress", "canceled")},
        "failures": _failures(found),
        "outstanding": state.outstanding,
    }


def _buckets(operations: Sequence[Json], seconds: int) -> Iterator[Json]:
    counts: dict[int, Counter[str]] = {}
    for each in operations:
        at = int(_moment(each["registeredAt"]).timestamp()) // seconds * seconds
        counts.setdefault(at, Counter())[each["state"]] += 1
    for at, states in sorted(counts.items()):
        yield {"at": facts.text(datetime.fromtimestamp(at, UTC)), "states": dict(states)}


def _failures(operations: Sequence[Json]) -> list[Json]:
    counts: Counter[tuple[str, ...]] = Counter()
    blobs: Counter[tuple[str, ...]] = Counter()
    for each in operations:
        if each["blobs"]["failed"]:
            name = (each["firstErrorCode"], each["cluster"], each["database"], each["table"])
            counts[name] += 1
            blobs[name] += each["blobs"]["failed"]
    return [
        dict(zip(("errorCode", *PLACE), name, strict=True)) | {"operations": count, "failedBlobs": blobs[name]}
        for name, count in counts.most_common(100)
    ]


ANSWERS: tuple[tuple[api.Endpoint, Callable[[StandIn, Query], Json]], ...] = (
    (api.LIST, _operations),
    (api.GET, _operation),
    (api.LIST_BLOBS, _blobs),
    (api.REDRIVE_BLOBS, _redrive),
    (api.SUMMARY, _summary),
    (api.ERROR_CODES, lambda *_: {"errorCodes": facts.explanations()}),
    (api.HEALTH, lambda state, _: state.health),
)

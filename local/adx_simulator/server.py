"""The HTTP server: finds out what is asked, lets faults strike, and answers."""

import asyncio
import uuid

from aiohttp import web

from local.adx_simulator.answers import Answer, Refused, error_answer, gateway_page
from local.adx_simulator.control import control_answer
from local.adx_simulator.endpoints import Asked, answer
from local.adx_simulator.faults import RequestFacts, RequestFault
from local.adx_simulator.requests_log import NO_ANSWER, RequestRecord
from local.adx_simulator.routes import Route, route
from local.adx_simulator.simulator import Simulator

LARGEST_BODY = 16 * 1024 * 1024
TRICKLE_SECONDS = 0.05


class ConnectionDropped(Exception):
    """The connection ends here, without an answer."""


class Server:
    """Answers HTTP requests on behalf of a simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def application(self) -> web.Application:
        """Returns the application to serve."""
        application = web.Application(client_max_size=LARGEST_BODY)
        # Routing is our own: aiohttp's decodes a path before it matches it.
        application.router.add_route("*", "/{path:.*}", self._handle)
        return application

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        target = route(request.method, request.raw_path)
        if target.kind == "control":
            body = await request.read()
            return _response(request, control_answer(self._simulator, request.method, target.name, request.query, body))
        details = request.query.get("details", "").lower() == "true"
        app = request.headers.get("x-ms-app", "")
        facts = RequestFacts(target.kind, target.database, target.table, target.operation_id, details, app)
        log, status = self._simulator.log, NO_ANSWER
        at = self._simulator.now().isoformat()
        try:
            if latency := self._simulator.settings.latency_seconds:
                await asyncio.sleep(latency)
            response = await self._respond(request, target, facts)
            status = response.status
        except ConnectionDropped:
            response = web.Response()
            if request.transport is not None:
                request.transport.abort()
        finally:
            log.add(_record(request, facts, at, status))
        return response

    async def _respond(self, request: web.Request, target: Route, facts: RequestFacts) -> web.StreamResponse:
        fault = self._simulator.faults.for_request(facts)
        if fault is None:
            return _response(request, await self._true_answer(request, target, facts))
        if fault.effect == "trickle":
            true = await self._true_answer(request, target, facts)
            return await _trickle(request, true, fault.seconds or TRICKLE_SECONDS)
        return _response(request, await self._faulty_answer(fault, request, target, facts))

    async def _faulty_answer(
        self, fault: RequestFault, request: web.Request, target: Route, facts: RequestFacts
    ) -> Answer:
        taken = await self._true_answer(request, target, facts) if fault.accepted else None
        status = fault.http_status()
        match fault.effect:
            case "error":
                refused = Refused(status, "a fault that was switched on", code=fault.code, permanent=fault.permanent)
                return error_answer(refused, now=self._simulator.now(), retry_after=fault.retry_after)
            case "html":
                return gateway_page(status, retry_after=fault.retry_after)
            case "empty":
                return Answer(status=status)
            case "hang":
                await (asyncio.Event().wait() if fault.seconds is None else asyncio.sleep(fault.seconds))
                return taken or await self._true_answer(request, target, facts)
        raise ConnectionDropped

    async def _true_answer(self, request: web.Request, target: Route, facts: RequestFacts) -> Answer:
        try:
            asked = Asked(request.headers, request.query, await request.read())
            return answer(self._simulator, target, facts, asked)
        except Refused as refused:
            return error_answer(refused, now=self._simulator.now())
        except web.HTTPRequestEntityTooLarge as error:
            return error_answer(Refused(413, str(error)), now=self._simulator.now())


def _response(request: web.Request, given: Answer) -> web.Response:
    return web.Response(status=given.status, body=given.body.encode(), headers=_headers(request, given))


async def _trickle(request: web.Request, given: Answer, seconds: float) -> web.StreamResponse:
    body = given.body.encode()
    response = web.StreamResponse(status=given.status, headers=_headers(request, given))
    response.content_length = len(body)
    await response.prepare(request)
    for byte in body:
        await response.write(bytes([byte]))
        await asyncio.sleep(seconds)
    await response.write_eof()
    return response


def _headers(request: web.Request, given: Answer) -> dict[str, str]:
    headers = {"Content-Type": "application/json; charset=utf-8", "x-ms-activity-id": str(uuid.uuid4())}
    if client_request_id := request.headers.get("x-ms-client-request-id"):
        headers["x-ms-client-request-id"] = client_request_id
    return {**headers, **given.headers}


def _record(request: web.Request, facts: RequestFacts, at: str, status: int) -> RequestRecord:
    return RequestRecord(
        at=at,
        method=request.method,
        path=request.raw_path,
        kind=facts.kind,
        details=facts.details,
        headers=tuple(request.headers),
        authorized="Authorization" in request.headers,
        client_request_id=request.headers.get("x-ms-client-request-id", ""),
        status=status,
    )

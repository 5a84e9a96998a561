"""Calls functions for HTTP requests, as Azure's host does behind its front ends.

What the host answers itself has no body: 404 where no route fits the path and the method, 401 without a right key, 500
when the function failed. Any number of requests is taken at once, and a body of any size. The values of a route are
decoded but for `%2F`, and repeated query parameters and headers are joined by commas, as ASP.NET Core does.
"""

import asyncio
import logging
from collections.abc import Sequence

from aiohttp import web

from local.functions_host.http_data import request_data, response
from local.functions_host.keys import Keys
from local.functions_host.routes import Route, find
from local.functions_host.worker import AppRefused, Worker

LOG = logging.getLogger(__name__)
HOST = "127.0.0.1"
KEY_HEADER = "x-functions-key"
KEY_PARAMETER = "code"
# Running requests are waited for without end here: the grace is up to whoever waits for the listener.
SHUTDOWN_SECONDS = 24 * 3600.0


class HttpListener:
    """Takes requests to the HTTP functions of an app.

    Attributes:
        uri: Where it listens; empty before.
    """

    def __init__(self, worker: Worker, routes: Sequence[Route], *, keys: Keys, port: int) -> None:
        """Opens nothing yet.

        Args:
            worker: Calls the functions.
            routes: Where each is called, in the order of trying.
            keys: What opens them.
            port: Where to listen on 127.0.0.1; 0 for a free port.
        """
        self.uri = ""
        self._worker = worker
        self._routes = routes
        self._keys = keys
        self._port = port
        application = web.Application(client_max_size=0)
        # Routing is our own: aiohttp's decodes a path before it matches it.
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            application, access_log=None, auto_decompress=False, shutdown_timeout=SHUTDOWN_SECONDS
        )

    async def prepare(self) -> None:
        """Takes the port.

        Raises:
            AppRefused: It can't be had.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._port).start()
        except OSError as error:
            raise AppRefused(f"the port {self._port} of {HOST} can't be used: {error.strerror}") from error
        self.uri = f"http://{HOST}:{self._runner.addresses[0][1]}"
        for route in self._routes:
            methods = ",".join(sorted(route.methods)) or "every method"
            LOG.info("%s: [%s] %s/%s", route.function.name, methods, self.uri, route.template)

    async def listen(self, stopping: asyncio.Event) -> None:
        """Takes requests until `stopping` is set, then waits for those that run.

        Args:
            stopping: Ends it.
        """
        await stopping.wait()
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        found = find(self._routes, request.method, request.rel_url.raw_path)
        if found is None:
            return web.Response(status=404)
        function, values = found
        level = str(function.trigger.get("authLevel") or "function").lower()
        if not self._keys.admit(_key(request), function=function.name, level=level):
            return web.Response(status=401)
        answer = await self._worker.call(function, await request_data(request, values), {})
        return web.Response(status=500) if answer is None else response(answer)


def _key(request: web.Request) -> str | None:
    """Returns the key that a request brought; the header counts before the parameter."""
    codes = (value for name, value in request.query.items() if name.lower() == KEY_PARAMETER)
    return request.headers.get(KEY_HEADER, next(codes, None))

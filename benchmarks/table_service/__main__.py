"""``python -m benchmarks.table_service``: runs the service until its parent is gone, SIGTERM or Ctrl-C."""

import asyncio
import gc
import json
import os
import signal
from typing import override

from benchmarks.table_service.requests import Malformed, read_request
from benchmarks.table_service.service import Service
from local.processes import watch_parent

HOST = "127.0.0.1"
BACKLOG = 1024


class Connection(asyncio.Protocol):
    """Answers the requests of one connection, one after the other."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        self._received += data
        try:
            while read := read_request(self._received):
                request, length = read
                del self._received[:length]
                transport.write(self._service.answer(request).wire())
        except Malformed:
            transport.close()


async def _run() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopped.set)
    watch_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    service = Service()
    # Rows by the hundred thousand, none in a cycle: looking for those takes seconds, and finds nothing.
    gc.disable()
    server = await loop.create_server(lambda: Connection(service), HOST, 0, backlog=BACKLOG)
    async with server:
        print(json.dumps({"uri": f"http://{HOST}:{server.sockets[0].getsockname()[1]}"}), flush=True)
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(_run())

"""`python -m local.adx_simulator`: runs the simulator in the foreground until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from local.adx_simulator.server import Server
from local.adx_simulator.settings import DIALECTS, Settings
from local.adx_simulator.simulator import Simulator
from local.processes import watch_parent

HOST = "127.0.0.1"
READERS = 4
CONNECTIONS = 32
# Azurite closes an idle connection after 5 seconds: one that is about to be closed must not be used again.
KEEP_ALIVE_SECONDS = 2.0
BACKLOG = 1024
SHUTDOWN_SECONDS = 0.2
# Threads that parse must not keep the server from answering.
SWITCH_SECONDS = 0.001


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.adx_simulator",
        description="Imitates the queued ingestion endpoints of Azure Data Explorer on this machine.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add, usual = parser.add_argument, Settings()
    add("--port", type=int, default=0, help="0 takes a free one")
    add("--dialect", choices=DIALECTS, default=usual.dialect, help="that of its answers about status")
    add("--batching-seconds", type=float, default=usual.batching_seconds, help="the longest that a blob waits")
    add("--visible-after-seconds", type=float, default=usual.visible_after_seconds, help="404 until then")
    add("--counted-after-seconds", type=float, default=usual.counted_after_seconds, help="no counts until then")
    add("--max-blobs-per-batch", type=int, default=usual.max_blobs_per_batch, help="the most blobs of a submission")
    add("--operation-id-pattern", default=usual.operation_id_pattern, help="{guid} and {n} are replaced")
    add("--token", default=usual.token, help="the one bearer token that is taken; any if not given")
    add("--show-url-query", action="store_true", help="show blob URLs in the details with their credentials")
    add("--container", action="append", default=[], metavar="URL", help="a container for the configuration endpoint")
    add("--latency-seconds", type=float, default=usual.latency_seconds, help="by which each answer comes later")
    add("--seed", type=int, default=0, help="of delays, IDs and shares")
    add("--exit-with-parent", action="store_true", help="stop when standard input ends")
    return parser.parse_args()


def main() -> int:
    """Runs the command line.

    Returns:
        The exit status: 1 when it can't start.
    """
    arguments = _arguments()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        asyncio.run(_run(arguments))
    except (OSError, ValueError) as error:
        print(f"the ADX simulator can't start: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopped.set)
    if arguments.exit_with_parent:
        watch_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_SECONDS)
    with ThreadPoolExecutor(READERS, "reader") as pool:
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            simulator = Simulator(
                _settings(arguments), seed=arguments.seed, session=session, pool=pool, now=lambda: datetime.now(UTC)
            )
            try:
                await _serve(simulator, arguments.port, stopped)
            finally:
                await simulator.ingestion.close()


async def _serve(simulator: Simulator, port: int, stopped: asyncio.Event) -> None:
    # Without handler_cancellation a request that hangs on purpose would outlive its client.
    runner = web.AppRunner(
        Server(simulator).application(),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port, backlog=BACKLOG).start()
        taken = runner.addresses[0][1]
        print(json.dumps({"uri": f"http://{HOST}:{taken}"}), flush=True)
        await stopped.wait()
    finally:
        await runner.cleanup()


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(
        dialect=arguments.dialect,
        batching_seconds=arguments.batching_seconds,
        visible_after_seconds=arguments.visible_after_seconds,
        counted_after_seconds=arguments.counted_after_seconds,
        max_blobs_per_batch=arguments.max_blobs_per_batch,
        operation_id_pattern=arguments.operation_id_pattern,
        token=arguments.token,
        show_url_query=arguments.show_url_query,
        containers=tuple(arguments.container),
        latency_seconds=arguments.latency_seconds,
    )


if __name__ == "__main__":
    sys.exit(main())

"""The host's life: load the app, listen for every function, stop."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from azure.core.exceptions import AzureError

from local.functions_host.http import HttpListener
from local.functions_host.keys import Keys
from local.functions_host.queues import ListenerOptions, QueueListener
from local.functions_host.routes import Route, in_order
from local.functions_host.settings import (
    HostOptions,
    apply_settings,
    read_host_options,
    storage_connection,
    substitute,
)
from local.functions_host.timers import Schedule, TimerListener
from local.functions_host.worker import AppRefused, Function, Worker
from local.processes import EXIT_SECONDS, watch_parent

LOG = logging.getLogger(__name__)
HTTP = "httpTrigger"

type Listener = QueueListener | TimerListener | HttpListener


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of the command line; `local.functions_host.__main__` says what each means."""

    app: Path
    settings: Path | None
    max_polling_interval: float
    invisible_seconds: int
    grace_seconds: float
    create_queues: bool
    http_port: int
    exit_with_parent: bool


async def run(
    options: RunOptions,
    environment: MutableMapping[str, str],
    names: dict[str, str],
    announce: Callable[[list[str], str | None], None],
) -> list[str]:
    """Runs an app until SIGTERM or SIGINT.

    Args:
        options: How.
        environment: The process' environment; the settings go into it.
        names: Filled with the function of each running invocation.
        announce: Gets the names of the functions once all are listened for, and the URI of those of HTTP if there are.

    Returns:
        The functions that still ran when the grace was over.

    Raises:
        AppRefused: The app could not be loaded, or its storage does not answer, or its port is taken.
        SettingsRefused: A setting is missing or wrong.
    """
    ending = threading.Event()
    if options.exit_with_parent:
        grace = options.grace_seconds + EXIT_SECONDS
        # Not once it ends by itself: the signal would cut off what the app has to send at its exit.
        watch_parent(
            lambda: None if ending.is_set() else os.kill(os.getpid(), signal.SIGTERM),
            grace_seconds=grace,
        )
    apply_settings(options.app, options.settings, environment)
    host = read_host_options(options.app, environment)
    os.chdir(options.app)
    worker = await Worker.load(options.app, function_timeout=host.function_timeout, names=names)
    # Only now: before, a signal ends the process at once, even in an import that hangs.
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    listeners = _listeners(worker, host, options, environment)
    http = next((listener for listener in listeners.values() if isinstance(listener, HttpListener)), None)
    await _prepare_queues(listeners)
    if http is not None:
        await http.prepare()
    announce(list(listeners), http.uri if http else None)
    await _listen([listener.listen for listener in dict.fromkeys(listeners.values())], stopping, options.grace_seconds)
    ending.set()
    return sorted(names.values())


def _listeners(
    worker: Worker, host: HostOptions, options: RunOptions, environment: Mapping[str, str]
) -> dict[str, Listener]:
    """Makes a listener for every function that is neither disabled nor of a kind that is not imitated.

    The HTTP functions share one.
    """
    enabled = [function for function in worker.functions if not _is_disabled(function, environment)]
    routes = [Route.of(function, host.route_prefix) for function in enabled if function.trigger["type"] == HTTP]
    http = HttpListener(worker, in_order(routes), keys=Keys.read(environment), port=options.http_port)
    made: dict[str, Listener] = {}
    for function in enabled:
        listener = http if function.trigger["type"] == HTTP else _listener(worker, function, host, options, environment)
        if listener is None:
            LOG.warning("%s is not run: a %s is not imitated here", function.name, function.trigger["type"])
        else:
            made[function.name] = listener
    return made


def _is_disabled(function: Function, environment: Mapping[str, str]) -> bool:
    disabled = environment.get(f"AzureWebJobs.{function.name}.Disabled", "").lower() in {"true", "1"}
    if disabled:
        LOG.info("%s is disabled", function.name)
    return disabled


def _listener(
    worker: Worker, function: Function, host: HostOptions, options: RunOptions, environment: Mapping[str, str]
) -> Listener | None:
    trigger = function.trigger
    match trigger["type"]:
        case "queueTrigger":
            return QueueListener(
                worker,
                function,
                connection=storage_connection(trigger.get("connection"), environment),
                queue=substitute(trigger["queueName"], environment),
                options=ListenerOptions(
                    queues=host.queues,
                    max_polling_interval=min(options.max_polling_interval, host.queues.max_polling_interval),
                    invisible_seconds=options.invisible_seconds,
                    create_queues=options.create_queues,
                ),
            )
        case "timerTrigger":
            return TimerListener(worker, function, schedule=Schedule(substitute(trigger["schedule"], environment)))
        case _:
            return None


async def _prepare_queues(listeners: Mapping[str, Listener]) -> None:
    for name, listener in listeners.items():
        if isinstance(listener, QueueListener):
            try:
                await listener.prepare()
            except (AzureError, ValueError) as error:
                raise AppRefused(f"the storage of {name} can't be used: {error}") from error


async def _listen(
    listens: list[Callable[[asyncio.Event], Awaitable[None]]], stopping: asyncio.Event, grace_seconds: float
) -> None:
    tasks = {asyncio.ensure_future(listen(stopping)) for listen in listens}
    stop = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({*tasks, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.is_set():
        # A listener ends before only by a fault of this host.
        stopping.set()
        LOG.error("a listener ended; stopping")
    done, _ = await asyncio.wait(tasks, timeout=grace_seconds)
    for task in done:
        task.result()

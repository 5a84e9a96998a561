"""`python -m local.host`, run by `./dev host`: the app on this machine, with the storage and the ADX that it lacks.

Azurite is started when the settings say `UseDevelopmentStorage=true` and nothing listens on its ports, and the ADX
simulator when the settings name an ADX on this machine where nothing listens. HTTP functions are called on the port of
Core Tools, or on a free one if that is taken. Ctrl-C stops what was started here.
"""

import argparse
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from local.azurite import DEFAULT_PORTS, Azurite
from local.functions_host import FunctionsHost
from local.functions_host.settings import SETTINGS_FILES, SettingsRefused, apply_settings, is_development_storage
from local.processes import REPOSITORY, Child, ProcessFailed

LOOPBACK = ("127.0.0.1", "localhost")
STORAGE_SETTINGS = ("IngestionStorage", "AzureWebJobsStorage")
CONNECT_SECONDS = 1.0
HTTP_PORT = 7071
SIMULATOR_SECONDS = 60.0
GRACE_SECONDS = 10.0


class NotStartable(RuntimeError):
    """What the settings ask for can't be had on this machine as it is."""


def main() -> int:
    """Runs until Ctrl-C, or until the host ends.

    Returns:
        The exit status: the host's own when it ended by itself.
    """
    parser = argparse.ArgumentParser(prog="./dev host", description="Runs the app on this machine until stopped.")
    parser.add_argument(
        "--app", type=Path, default=REPOSITORY, help="folder of function_app.py (default: this repository)"
    )
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parser.add_argument(
        "--http-port", type=int, default=HTTP_PORT, metavar="PORT", help="for HTTP functions; a free one if it is taken"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            return _start(arguments, stack).wait()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 0
    except (NotStartable, ProcessFailed, SettingsRefused) as error:
        print(f"./dev host: {error}", file=sys.stderr)
        return 1


def _start(arguments: argparse.Namespace, stack: ExitStack) -> FunctionsHost:
    app = arguments.app.resolve()
    settings = dict(os.environ)
    read = apply_settings(app, None, settings)
    _say(f"settings   {read or 'only the environment: there is no ' + ' or '.join(SETTINGS_FILES)}")
    if any(is_development_storage(settings.get(name, "")) for name in STORAGE_SETTINGS):
        _start_azurite(stack)
    uri = settings.get("KUSTO_INGEST_URI", "")
    if uri.startswith("http://") and urlsplit(uri).hostname in LOOPBACK:
        _start_simulator(urlsplit(uri).port or 80, uri, stack)
    host = FunctionsHost.start(
        {},
        app,
        settings=read,
        log_level=arguments.log_level,
        grace_seconds=GRACE_SECONDS,
        http_port=0 if _listens(arguments.http_port) else arguments.http_port,
        show_output=True,
    )
    stack.enter_context(host)
    if host.uri:
        _say(f"HTTP       {host.uri}")
    _say(f"functions  {', '.join(host.functions)}; Ctrl-C stops everything")
    return host


def _start_azurite(stack: ExitStack) -> None:
    taken = [port for port in DEFAULT_PORTS if _listens(port)]
    if len(taken) == len(DEFAULT_PORTS):
        _say(f"storage    what already listens on the ports {DEFAULT_PORTS[0]} to {DEFAULT_PORTS[-1]}")
        return
    if taken:
        raise NotStartable(f"Azurite needs the ports {DEFAULT_PORTS}, and something else listens on {taken}")
    stack.enter_context(Azurite.start(ports=DEFAULT_PORTS))
    _say(f"storage    Azurite on the ports {DEFAULT_PORTS[0]} to {DEFAULT_PORTS[-1]}, in memory")


def _start_simulator(port: int, uri: str, stack: ExitStack) -> None:
    if _listens(port):
        _say(f"ADX        what already listens at {uri}")
        return
    command = [sys.executable, "-m", "local.adx_simulator", "--exit-with-parent", "--port", str(port)]
    simulator = stack.enter_context(Child(command, name="the ADX simulator"))
    simulator.wait_until(_simulator_uri, seconds=SIMULATOR_SECONDS)
    _say(f"ADX        the simulator at {uri}")


def _simulator_uri(lines: Sequence[str]) -> str | None:
    if not lines:
        return None
    uri: str = json.loads(lines[0])["uri"]
    return uri


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK[0], port), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

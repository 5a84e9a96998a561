"""`python -m local.functions_host`: runs an app in the foreground until SIGTERM or Ctrl-C.

The setting `FUNCTIONS_HOST_KEYS` says which keys open HTTP functions; it is no option, as all can read a command line.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

from local.functions_host.host import RunOptions, run
from local.functions_host.logs import set_up
from local.functions_host.settings import SettingsRefused
from local.functions_host.worker import AppRefused
from local.processes import REPOSITORY

LOG = logging.getLogger(f"{__package__}.main")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.functions_host", description="Runs a function app.")
    add = parser.add_argument
    add(
        "--app",
        type=Path,
        default=REPOSITORY,
        help="folder of function_app.py and host.json (default: this repository)",
    )
    add("--settings", type=Path, help="settings file (default: the app's local.settings.json, else its sample)")
    add("--ready-json", action="store_true", help="print a line of JSON to standard output when listening")
    add("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    add("--max-polling-interval", type=float, default=0.2, metavar="SECONDS", help="between looks at an empty queue")
    add("--invisible-seconds", type=int, default=600, help="how long a handled message stays hidden if this host dies")
    add("--grace-seconds", type=float, default=5.0, help="how long running functions may take when stopping")
    add(
        "--no-create-queues",
        action="store_true",
        help="wait for a missing queue, as Azure does, instead of creating it",
    )
    add(
        "--http-port",
        type=int,
        default=0,
        metavar="PORT",
        help="for HTTP functions, on 127.0.0.1 (default: a free one)",
    )
    add("--exit-with-parent", action="store_true", help="stop when standard input ends")
    return parser.parse_args()


def main() -> int:
    """Runs the command line.

    Returns:
        The exit status: 1 when the app or its settings are refused.
    """
    arguments = _arguments()
    # Python's own handler would leave an import that hangs to a second Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    announcements = sys.stdout
    # What functions print belongs to the log: the first line of standard output is the ready line.
    sys.stdout = sys.stderr
    names: dict[str, str] = {}
    set_up(arguments.log_level, names)

    def announce(functions: list[str], uri: str | None) -> None:
        LOG.info("listening for %s", ", ".join(functions) or "no function")
        if arguments.ready_json:
            print(json.dumps({"functions": functions, "http": uri}), file=announcements, flush=True)

    options = RunOptions(
        app=arguments.app.resolve(),
        settings=arguments.settings.resolve() if arguments.settings else None,
        max_polling_interval=arguments.max_polling_interval,
        invisible_seconds=arguments.invisible_seconds,
        grace_seconds=arguments.grace_seconds,
        create_queues=not arguments.no_create_queues,
        http_port=arguments.http_port,
        exit_with_parent=arguments.exit_with_parent,
    )
    try:
        unfinished = asyncio.run(run(options, os.environ, names, announce))
    except (AppRefused, SettingsRefused) as refused:
        LOG.error(refused)  # noqa: TRY400, a traceback of this host would only hide the message
        return 1
    if unfinished:
        LOG.warning("stopped while functions ran: %s", ", ".join(unfinished))
        sys.stderr.flush()
        # Python would wait for their threads without end.
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())

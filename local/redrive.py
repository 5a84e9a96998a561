"""`python -m local.redrive`, run by `./dev redrive`: a person has blobs or poison messages taken up again.

It works on the storage that the settings name, with the app's own code; `docs/redrive.md` is the manual.
"""

import argparse
import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from local.functions_host.settings import SETTINGS_FILES, SettingsRefused, apply_settings
from local.processes import REPOSITORY
from shared.app import Tracker, UnknownQueue, tracker_on_what_is_there
from shared.fields import MessageRefused, Object
from shared.invocation import StorageFailed
from shared.redrive import GIVEN_UP_AS, RedriveRefused
from shared.redrive_request import name_of
from shared.settings import STORAGE_CONNECTION, Settings, SettingsError, load
from shared.store.outstanding import LayoutMismatch
from shared.store.results import Contended
from shared.store.tables import NotStorable

ALL = "all"
REFUSALS = (
    Contended,
    LayoutMismatch,
    MessageRefused,
    NotStorable,
    RedriveRefused,
    SettingsRefused,
    UnknownQueue,
)


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        words: Its arguments; those of the process if None.

    Returns:
        0 if it is done, 1 with the reason on standard error if not.
    """
    arguments = _arguments(words)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        settings = _settings(arguments.settings)
        by = name_of(arguments.by)
        app = tracker_on_what_is_there(settings)
        if arguments.what == "blobs":
            _redrive_blobs(app, arguments, by)
        else:
            _redrive_messages(app, settings, arguments, by)
    except SettingsError as error:
        print("./dev redrive: settings are missing or wrong", *error.problems, sep="\n- ", file=sys.stderr)
        print("For the storage of ./dev host: --settings local.settings.sample.json", file=sys.stderr)
        return 1
    except StorageFailed as error:
        print(f"./dev redrive: {error}\nIs it the app's storage? See IngestionStorage", file=sys.stderr)
        return 1
    except REFUSALS as error:
        print(f"./dev redrive: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev redrive",
        description="Has what the app has given up taken up again. Who asks is written down.",
        epilog="@FILE stands for the arguments in a file, one a line: so that a SAS is in no list of processes.",
        fromfile_prefix_chars="@",
    )
    kinds = parser.add_subparsers(dest="what", required=True)
    blobs = kinds.add_parser("blobs", help="an operation's blobs that failed and are not tried again by themselves")
    blobs.add_argument("operation_id", metavar="OPERATION_ID", help="in quotation marks, as it may hold a semicolon")
    blobs.add_argument("--database", help="default: KUSTO_DATABASE")
    blobs.add_argument("--table", help="default: KUSTO_TABLE")
    blobs.add_argument("--cluster", metavar="URI", help="default: KUSTO_INGEST_URI")
    blobs.add_argument(
        "--only", action="append", choices=[str(each) for each in GIVEN_UP_AS], help="only those; may be repeated"
    )
    blobs.add_argument(
        "--blob",
        action="append",
        metavar="URL",
        help="only this one, with the SAS that ADX is to read it by; repeatable",
    )
    properties = blobs.add_mutually_exclusive_group()
    properties.add_argument("--format", help="of the blobs, where the operation's message had no properties")
    properties.add_argument("--properties", metavar="JSON", help="to submit with, in place of the message's own")
    messages = kinds.add_parser("messages", help="the messages of a poison queue")
    messages.add_argument("queue", metavar="QUEUE", help=f"the queue that they go back to, or '{ALL}'")
    messages.add_argument("--most", type=_positive, metavar="N", help="not more than so many of a queue")
    for each in (blobs, messages):
        each.add_argument("--as", dest="by", required=True, metavar="NAME", help="who asks")
        each.add_argument("--settings", type=Path, metavar="FILE", help=f"default: {SETTINGS_FILES[0]}, if it is there")
    return parser.parse_args(words)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it is 1 at the least")
    return number


def _settings(file: Path | None) -> Settings:
    environment = dict(os.environ)
    if file is not None and not file.is_file():
        raise SettingsRefused(f"there is no file {file}")
    # Not the sample's: it would silently mean the storage on this machine.
    read = apply_settings(REPOSITORY, file or REPOSITORY / SETTINGS_FILES[0], environment)
    if any(name.startswith(STORAGE_CONNECTION) for name in os.environ):
        # From one place alone: a connection string of the file would win over URIs that were exported.
        environment = {
            name: value
            for name, value in environment.items()
            if name in os.environ or not name.startswith(STORAGE_CONNECTION)
        }
    settings = load(environment)
    print(f"settings  the environment{f', then {read}' if read else ''}", file=sys.stderr)
    print(f"storage   {_account(settings)}", file=sys.stderr)
    print(f"cluster   {settings.ingest_uri}", file=sys.stderr)
    return settings


def _account(settings: Settings) -> str:
    """Which storage it is, without a key."""
    found = re.search(r"(?:AccountName|TableEndpoint)=([^;?]+)", settings.storage.connection_string)
    return settings.storage.table_uri or (found[1] if found else "of the connection string")


def _redrive_blobs(app: Tracker, arguments: argparse.Namespace, by: str) -> None:
    content: Object = {name: getattr(arguments, name) for name in ("database", "table", "cluster")}
    if arguments.only:
        content["only"] = arguments.only
    if arguments.blob:
        content["blobs"] = [{"url": url} for url in arguments.blob]
    if arguments.format:
        content["properties"] = {"format": arguments.format}
    if arguments.properties:
        content["properties"] = _properties(arguments.properties)
    done = app.redrive_blobs(arguments.operation_id, content, by)
    if done.count:
        print(f"{done.count} blob(s) of {arguments.operation_id} are on the retry queue (redrive {done.redrive_id})")
    else:
        print(
            f"0 blobs of {arguments.operation_id} were given up and asked for. One that was submitted again belongs to "
            "its new operation, RetryOperationId in IngestionBlobs: redrive that"
        )
    if done.left:
        print(f"{done.left} more that the app has given up were left as they are")


def _redrive_messages(app: Tracker, settings: Settings, arguments: argparse.Namespace, by: str) -> None:
    own = (settings.operations_queue, settings.retry_queue, settings.poll_queue)
    for queue in own if arguments.queue == ALL else (arguments.queue,):
        done = app.redrive_messages(queue, by, arguments.most)
        print(f"{done.count} message(s) went from {queue}-poison to {queue} (redrive {done.redrive_id})")
        if done.left:
            print(f"{done.left} more are left there")


def _properties(text: str) -> Object:
    try:
        properties = json.loads(text)
    except ValueError:
        properties = None
    if not isinstance(properties, dict):
        raise MessageRefused("--properties is no JSON object")
    return properties


if __name__ == "__main__":
    sys.exit(main())

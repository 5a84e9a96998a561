"""Options that several commands have: where the tracker is, which operations are meant, and how results come."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from cli.connecting import ENTRA, URL, Way
from cli.facts import Named, Wanted
from cli.inputs import Moment, lines_of
from cli.output import Output
from shared.model import OperationState

type Command = Callable[..., Any]
type Decorator = Callable[[Command], Command]


@dataclass(frozen=True, slots=True)
class Context:
    """What each command is handed: where the tracker is, and where to write."""

    way: Way
    output: Output


@dataclass(frozen=True, slots=True)
class Place:
    """A table, as far as it is said."""

    cluster: str | None = None
    database: str | None = None
    table: str | None = None


_FILE = click.Path(path_type=Path, dir_okay=False)

_COMMON: tuple[Decorator, ...] = (
    click.option("--url", metavar="URL", help=f"The tracker's API, https://APP.azurewebsites.net. [{URL}]"),
    click.option("--key-file", type=_FILE, help="File with the function key. [the key itself: TRACKER_KEY]"),
    click.option(
        "--entra", metavar="APP", help=f"Sign in by Entra ID: the client ID of the API's registration. [{ENTRA}]"
    ),
    click.option(
        "--settings",
        "settings_file",
        type=_FILE,
        help="File with the app's settings, for its storage. Default: local.settings.json, if it is here.",
    ),
    click.option("--json", "is_json", is_flag=True, help="Results as JSON."),
)

_PLACE: tuple[Decorator, ...] = (
    click.option("--cluster", metavar="URI", help="The cluster's ingestion endpoint."),
    click.option("--database", metavar="NAME", help="The database."),
    click.option("--table", metavar="NAME", help="The table."),
)

_FILTERS: tuple[Decorator, ...] = (
    click.option(
        "--state",
        "states",
        multiple=True,
        type=click.Choice([str(state) for state in OperationState], case_sensitive=False),
        metavar="STATE",
        help=f"In this state: {', '.join(OperationState)}. May be repeated.",
    ),
    *_PLACE,
    click.option(
        "--since", type=Moment(), metavar="TIME", help="Registered since: a time, or a while ago such as 2h or 7d."
    ),
    click.option("--until", type=Moment(), metavar="TIME", help="Registered before."),
)


def common(command: Command) -> Command:
    """Gives a command the options that say where the tracker is, and ``--json``; hands it a `Context`."""

    @wraps(command)
    def run(
        *,
        url: str | None,
        key_file: Path | None,
        entra: str | None,
        settings_file: Path | None,
        is_json: bool,
        **others: object,
    ) -> None:
        way = Way(dict(os.environ), url, key_file, entra, settings_file)
        command(Context(way, Output(is_json=is_json)), **others)

    return _with(_COMMON, run)


def place(command: Command) -> Command:
    """Gives a command ``--cluster``, ``--database`` and ``--table``, and hands it a `Place`."""

    @wraps(command)
    def run(*, cluster: str | None, database: str | None, table: str | None, **others: object) -> None:
        command(place=Place(cluster, database, table), **others)

    return _with(_PLACE, run)


def filters(command: Command) -> Command:
    """Gives a command the options that say which operations are wanted, and hands it a `Wanted`."""

    @wraps(command)
    def run(
        *,
        states: tuple[str, ...],
        cluster: str | None,
        database: str | None,
        table: str | None,
        since: datetime | None,
        until: datetime | None,
        **others: object,
    ) -> None:
        if since and until and since >= until:
            raise click.UsageError("--since is to be before --until")
        wanted = Wanted(states=states, cluster=cluster, database=database, table=table, since=since, until=until)
        command(wanted=wanted, **others)

    return _with(_FILTERS, run)


def _with(options: tuple[Decorator, ...], command: Command) -> Command:
    # What is given last stands first in the help.
    for option in reversed(options):
        command = option(command)
    return command


def named_of(operation_ids: tuple[str, ...], file: str | None, where: Place) -> list[Named]:
    """The operations that arguments and a file of IDs name, each once.

    Raises:
        UsageError: the file can't be read.
    """
    ids = [*operation_ids, *(lines_of(file) if file else ())]
    return [Named(each, where.cluster, where.database, where.table) for each in dict.fromkeys(ids)]

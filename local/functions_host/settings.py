"""What the host reads before it starts: settings files, host.json, and the environment over both."""

import json
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.azurite import DEFAULT_PORTS, connection_string

SETTINGS_FILES = ("local.settings.json", "local.settings.sample.json")
OVERRIDE = re.compile(r"azurefunctionsjobhost(?:__|:)(.+)", re.IGNORECASE)
TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?")
MAX_BATCH = 32


class SettingsRefused(ValueError):
    """A settings file, host.json or a setting holds something that the host can't run with."""


@dataclass(frozen=True, kw_only=True)
class QueueOptions:
    """`extensions.queues` of host.json, with the real host's defaults; times in seconds."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: float = 0.0
    max_polling_interval: float = 60.0
    base64: bool = True


@dataclass(frozen=True, kw_only=True)
class HostOptions:
    """What of host.json is followed here; times in seconds."""

    queues: QueueOptions
    route_prefix: str
    function_timeout: float | None


def apply_settings(app: Path, settings: Path | None, environment: MutableMapping[str, str]) -> Path | None:
    """Puts a settings file's `Values` into the environment; a variable that is set already wins.

    Args:
        app: The folder of `function_app.py`.
        settings: The file, or None for `local.settings.json`, else `local.settings.sample.json`, of the app.
        environment: What it goes into.

    Returns:
        The file that was read, if there is one.

    Raises:
        SettingsRefused: It isn't the JSON that Core Tools would take.
    """
    candidates = [settings] if settings else [app / name for name in SETTINGS_FILES]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        return None
    values = _read_json(path).get("Values", {})
    if not isinstance(values, dict):
        raise SettingsRefused(f"{path}: Values must be an object of settings")
    for name, value in values.items():
        if not isinstance(value, str):
            raise SettingsRefused(f"{path}: Values.{name} must be a string, as Core Tools demands")
        environment.setdefault(name, value)
    return path


def read_host_options(app: Path, environment: Mapping[str, str]) -> HostOptions:
    """Reads host.json with its `AzureFunctionsJobHost__…` overrides.

    Args:
        app: The folder of host.json.
        environment: Where the overrides are.

    Returns:
        The options.

    Raises:
        SettingsRefused: A value is none that the real host would take.
    """
    path = app / "host.json"
    if not path.is_file():
        raise SettingsRefused(f"{path} is missing")
    tree = _lower_keys(_read_json(path))
    for name, value in environment.items():
        if match := OVERRIDE.fullmatch(name):
            _set(tree, re.split(r"__|:", match[1].lower()), value)
    extensions = tree.get("extensions", {})
    timeout = tree.get("functiontimeout")
    try:
        return HostOptions(
            queues=_queue_options(extensions.get("queues", {})),
            route_prefix=str(extensions.get("http", {}).get("routeprefix", "api")),
            function_timeout=None if timeout in (None, "-1") else time_span(timeout),
        )
    except ValueError as error:
        raise SettingsRefused(f"{path}, or an override of it: {error}") from error


def time_span(text: str) -> float:
    """Returns the seconds of a .NET TimeSpan: `[days.]hours:minutes[:seconds]`.

    Args:
        text: The time span.

    Returns:
        Seconds.
    """
    match = TIME_SPAN.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is not a time span like 00:00:30")
    days, hours, minutes, seconds = (float(group or 0) for group in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def substitute(text: str, environment: Mapping[str, str]) -> str:
    """Replaces each `%SETTING%` by its value.

    Args:
        text: A queue name or a schedule of a binding.
        environment: Where settings are.

    Returns:
        The text with the values in place.

    Raises:
        SettingsRefused: A setting is missing.
    """

    def value(match: re.Match[str]) -> str:
        found = environment.get(match[1])
        if not found:
            raise SettingsRefused(f"the setting {match[1]}, which a binding names as %{match[1]}%, is missing")
        return found

    return re.sub(r"%([^%]+)%", value, text)


def storage_connection(name: str | None, environment: Mapping[str, str]) -> str:
    """Returns the connection string that a binding's `connection` names.

    Args:
        name: The setting's name; AzureWebJobsStorage when it is empty.
        environment: Where settings are.

    Returns:
        The whole connection string.

    Raises:
        SettingsRefused: There is none.
    """
    setting = name or "AzureWebJobsStorage"
    value = environment.get(setting)
    if not value:
        raise SettingsRefused(
            f"the setting {setting}, a trigger's connection, is missing; it must be a connection string, as access by "
            "identity is not imitated here"
        )
    if is_development_storage(value):
        return connection_string(DEFAULT_PORTS)
    return value


def is_development_storage(connection: str) -> bool:
    """Returns whether a connection string means the emulator on its default ports.

    Args:
        connection: The setting's value.
    """
    return connection.replace(" ", "").rstrip(";").casefold() == "usedevelopmentstorage=true"


def _queue_options(queues: Mapping[str, Any]) -> QueueOptions:
    batch_size = int(queues.get("batchsize", 16))
    if not 1 <= batch_size <= MAX_BATCH:
        raise ValueError(f"batchSize must be from 1 to {MAX_BATCH}, not {batch_size}")
    encoding = str(queues.get("messageencoding", "base64")).casefold()
    if encoding not in {"base64", "none"}:
        raise ValueError(f"messageEncoding must be base64 or none, not {encoding!r}")
    max_dequeue_count = int(queues.get("maxdequeuecount", 5))
    if max_dequeue_count < 1:
        raise ValueError("maxDequeueCount must be at least 1")
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=int(queues.get("newbatchthreshold", batch_size // 2)),
        max_dequeue_count=max_dequeue_count,
        visibility_timeout=time_span(queues.get("visibilitytimeout", "00:00:00")),
        max_polling_interval=time_span(queues.get("maxpollinginterval", "00:01:00")),
        base64=encoding == "base64",
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise SettingsRefused(f"{path} is not JSON: {error}") from error
    if not isinstance(tree, dict):
        raise SettingsRefused(f"{path} does not hold an object")
    return tree


def _lower_keys(tree: dict[str, Any]) -> dict[str, Any]:
    """The real host's configuration does not tell cases apart."""
    return {key.lower(): _lower_keys(value) if isinstance(value, dict) else value for key, value in tree.items()}


def _set(tree: dict[str, Any], path: list[str], value: str) -> None:
    *parents, last = path
    for parent in parents:
        if not isinstance(tree.get(parent), dict):
            tree[parent] = {}
        tree = tree[parent]
    tree[last] = value

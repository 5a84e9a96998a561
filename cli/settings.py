"""The settings of the command line: those of the app, from the environment and a settings file, and where the API is.

The file has the form of the Functions tools' ``local.settings.json``: the settings are under ``Values``.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from cli.errors import SettingsMissing
from shared.endpoints import is_loopback, parse_origin
from shared.errors import EndpointNotAllowed
from shared.settings import STORAGE_CONNECTION, Settings, SettingsError, load

SETTINGS_FILE = "local.settings.json"
"""Read where it is in the current folder, unless another is named."""


def read_settings(file: Path | None, environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment, and below it what the settings file says.

    Raises:
        SettingsMissing: the file is named and not there, or no settings file.
    """
    path = file or Path(SETTINGS_FILE)
    if file is None and not path.is_file():
        return environment
    values = _values(path)
    if any(name.startswith(STORAGE_CONNECTION) for name in environment):
        # From one place alone: a connection string of the file would win over URIs that were exported.
        values = {name: value for name, value in values.items() if not name.startswith(STORAGE_CONNECTION)}
    return {**values, **environment}


def _values(path: Path) -> dict[str, str]:
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig")).get("Values", {})
    except OSError as error:
        raise SettingsMissing(f"{path} can't be read: {error.strerror}") from None
    except (ValueError, AttributeError):
        raise SettingsMissing(f"{path} is no settings file: a JSON object with the settings under Values") from None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise SettingsMissing(f"{path}: Values is to be an object of texts")
    return values


def app_settings(environment: Mapping[str, str]) -> Settings:
    """The app's settings.

    Raises:
        SettingsMissing: one is missing or wrong; the text lists all of them.
    """
    try:
        return load(environment)
    except SettingsError as error:
        raise SettingsMissing("\n- ".join(["settings are missing or wrong:", *error.problems])) from None


def api_root(url: str) -> str:
    """The address that the API's paths begin with, such as ``https://APP.azurewebsites.net/api``.

    Raises:
        SettingsMissing: a key must not be sent there.
    """
    scheme, _, rest = url.strip().rstrip("/").partition("://")
    host, slash, path = rest.partition("/")
    try:
        origin = parse_origin(f"{scheme}://{host}")
    except EndpointNotAllowed as error:
        raise SettingsMissing(f"the tracker's URL is https://APP.azurewebsites.net or the like: {error}") from None
    if any(each in path for each in "?#;@\\"):
        raise SettingsMissing("the tracker's URL has no query, and no key in it: that is TRACKER_KEY, or --key-file")
    return f"{origin}/{path}" if slash else f"{origin}/api"


def is_on_this_machine(root: str) -> bool:
    """Whether an address of the API is of this machine."""
    scheme, _, rest = root.partition("://")
    return is_loopback(f"{scheme}://{rest.partition('/')[0]}")

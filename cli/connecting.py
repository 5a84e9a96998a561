"""Which tracker a command is about: the one behind an API's URL, else the one whose storage the settings name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import SettingsMissing
from cli.settings import api_root, app_settings, read_settings
from cli.source import Source

if TYPE_CHECKING:
    from cli.api_source import ApiSource

URL = "TRACKER_URL"
KEY = "TRACKER_KEY"
ENTRA = "TRACKER_ENTRA"

_NOWHERE = (
    "it is not said where the tracker is. By its API: --url or TRACKER_URL, with TRACKER_KEY or --entra. Straight to "
    "its storage: the app's settings, in the environment or in a file (--settings), IngestionStorage and "
    "KUSTO_INGEST_URI at the least"
)


@dataclass(frozen=True, slots=True)
class Way:
    """What a person has said of where the tracker is, and the environment that says the rest."""

    environment: Mapping[str, str]
    url: str | None = None
    key_file: Path | None = None
    entra: str | None = None
    settings_file: Path | None = None

    @property
    def settings(self) -> Mapping[str, str]:
        """The environment and the settings file."""
        return read_settings(self.settings_file, self.environment)

    @property
    def root(self) -> str | None:
        """The address of the API, if it is asked."""
        url = self.url or self.settings.get(URL)
        return api_root(url) if url else None


def connect(way: Way) -> Source:
    """The tracker.

    Raises:
        SettingsMissing: it is not said where it is, or how to get in.
        Unreachable: its storage can't be used.
    """
    if way.root:
        return connect_api(way, way.root)
    if not any(name.startswith("IngestionStorage") and value for name, value in way.settings.items()):
        raise SettingsMissing(_NOWHERE)
    # Loaded late: it takes most of a second, which nobody is to wait for who asks the API, or for help.
    from cli.storage_source import StorageSource  # noqa: PLC0415

    return StorageSource(app_settings(way.settings))


def connect_api(way: Way, root: str) -> "ApiSource":
    """The tracker behind its API."""
    from cli.api_source import ApiSource, Credentials  # noqa: PLC0415, as above

    audience = way.entra or way.settings.get(ENTRA)
    if audience:
        return ApiSource(root, Credentials(token=token_for(audience)))
    return ApiSource(root, Credentials(_key(way)))


def _key(way: Way) -> str:
    key = _key_as_given(way)
    # Else the library that sends it quotes it in its error.
    if not (key.isascii() and key.isprintable()):
        raise SettingsMissing(f"{way.key_file or KEY} holds no function key: that is one line of ASCII")
    return key


def _key_as_given(way: Way) -> str:
    if way.key_file is None:
        return way.settings.get(KEY, "").strip()
    try:
        return way.key_file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        raise SettingsMissing(f"{way.key_file} can't be read") from None


def token_for(audience: str) -> Callable[[], str]:
    """A token of whoever is signed in, for an application: its client ID, its URI, or a whole scope."""
    from cli.identity import credential, token_of  # noqa: PLC0415, as above

    return partial(token_of, credential(), scope_of(audience))


def scope_of(audience: str) -> str:
    """The scope of an application's tokens: docs/deploy.md gives it the URI ``api://CLIENT_ID``."""
    uri = audience.strip().removesuffix("/.default").rstrip("/")
    return f"{uri if '://' in uri else f'api://{uri}'}/.default"

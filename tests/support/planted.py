"""Secrets to be planted wherever input comes from, each made for its place, and a search for them in what came out."""

import base64
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

_PART = 10
"""Characters in a row that give a secret away, of whatever is left of it."""

BLOB = "https://acc.blob.core.windows.net/in/a.csv"


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret that came out: where it was planted, and where it was found."""

    planted: str
    found: str


def _digest(place: str, size: int) -> bytes:
    return hashlib.shake_256(place.encode()).digest(size)


@dataclass
class Planted:
    """The secrets of one test. Each method makes one for a place; the search names the place."""

    parts: dict[str, str] = field(default_factory=dict)

    def take(self, place: str, secret: str) -> str:
        """Watch for a secret that comes from elsewhere."""
        for form in _forms(secret):
            self.parts |= dict.fromkeys(_windows(form), place)
        return secret

    def signature(self, place: str) -> str:
        """The signature of a SAS: 44 characters of base64."""
        return self.take(place, base64.b64encode(_digest(f"signature {place}", 32)).decode())

    def account_key(self, place: str) -> str:
        """A storage account's key: 88 characters of base64."""
        return self.take(place, base64.b64encode(_digest(f"key {place}", 64)).decode())

    def password(self, place: str) -> str:
        """A word that no shape tells."""
        return self.take(place, "pw-" + _digest(f"password {place}", 12).hex())

    def token(self, place: str) -> str:
        """A JSON web token."""
        header = _segment({"alg": "RS256", "typ": "JWT"})
        secret = base64.urlsafe_b64encode(_digest(f"token {place}", 96)).decode().rstrip("=")
        self.take(place, secret)
        return f"{header}.{_segment({'sub': 'app'})}{secret[:40]}.{secret[40:]}"

    def opaque_token(self, place: str) -> str:
        """A bearer token that is no JSON web token."""
        return self.take(place, _digest(f"opaque {place}", 30).hex())

    def sas(self, place: str) -> str:
        """A SAS, as it stands in a URL's query."""
        return f"sv=2026-02-06&se=2026-12-01T00%3A00%3A00Z&sr=b&sp=r&sig={quote(self.signature(place), safe='')}"

    def sas_url(self, place: str, url: str = BLOB) -> str:
        """A blob's URL with a SAS."""
        return f"{url}?{self.sas(place)}"

    def key_url(self, place: str, url: str = BLOB) -> str:
        """A blob's URL as Kusto takes it, with the account's key behind a semicolon."""
        return f"{url};{self.account_key(place)}"

    def user_url(self, place: str) -> str:
        """A URL with a user name and a password."""
        return f"https://user:{self.password(place)}@acc.blob.core.windows.net/in/a.csv"

    def connection_string(self, place: str) -> str:
        """Of a storage account."""
        key = self.account_key(place)
        return f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={key};EndpointSuffix=core.windows.net"

    def shapes(self, place: str) -> dict[str, str]:
        """A text of each shape that a secret has, by the shape's name, with a secret of its own for each."""
        own: dict[str, Callable[[str], str]] = {
            "sas": self.sas,
            "sas url": self.sas_url,
            "key url": self.key_url,
            "user url": self.user_url,
            "connection string": self.connection_string,
            "account key": self.account_key,
            "token": self.token,
            "bearer": lambda at: f"Authorization: Bearer {self.opaque_token(at)}",
            "kusto connection string": lambda at: (
                f"Data Source=https://ingest-help.kusto.windows.net;AppKey={self.password(at)}"
            ),
        }
        return {shape: make(f"{place}, {shape}") for shape, make in own.items()}

    def text(self, place: str) -> str:
        """An error text that quotes a secret of each shape."""
        return " | ".join(f"cannot use {text} here" for text in self.shapes(place).values())

    def leaks(self, places: Iterable[tuple[str, str]]) -> list[Leak]:
        """The secrets that are found in texts, each given with where it stands."""
        found = {Leak(planted, where) for where, text in places for planted in self._places(text)}
        return sorted(found, key=lambda leak: (leak.planted, leak.found))

    def leaks_in(self, text: object) -> list[str]:
        """The places that the secrets in one text were planted in."""
        return sorted(self._places(str(text)))

    def _places(self, text: str) -> set[str]:
        # As it stands, and with what was escaped for a URL or for JSON, once or twice.
        variants = {text, unquote(text), unquote(unquote(text)), text.replace("\\/", "/").replace("\\u002b", "+")}
        windows = {
            variant[start : start + _PART] for variant in map(str.lower, variants) for start in range(len(variant))
        }
        return {self.parts[part] for part in windows & self.parts.keys()}


def _forms(secret: str) -> Iterator[str]:
    """The secret as it is, and as a part of something that is written in base64, whatever stands before it."""
    yield secret
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + secret.encode()).decode()
        # The first and the last group depend on what stands beside it.
        yield encoded[4:-4]


def _windows(form: str) -> Iterator[str]:
    """Parts of which at least one is in any 19 characters of the form."""
    lower = form.lower()
    starts = range(0, max(len(lower) - _PART + 1, 1), _PART)
    yield from (lower[start : start + _PART] for start in starts)


def _segment(content: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        # The line with its traceback, and what a collector inside the process sees beside it.
        where = f"log of {record.name}"
        self.lines.append((where, self.format(record)))
        self.lines += [(f"{where}, {name}", repr(value)) for name, value in vars(record).items()]


LIBRARIES = ("azure", "urllib3", "msal", "requests")


@contextmanager
def everything_logged() -> Iterator[list[tuple[str, str]]]:
    """All lines of all loggers at level debug, each with where it comes from; filled as they come."""
    keeper, root, make = _Keeper(), logging.getLogger(), logging.getLogRecordFactory()
    loggers = [root, *map(logging.getLogger, LIBRARIES)]
    levels = [logger.level for logger in loggers]
    root.addHandler(keeper)
    show_all()
    try:
        yield keeper.lines
    finally:
        root.removeHandler(keeper)
        logging.setLogRecordFactory(make)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def show_all() -> None:
    """Set every logger to debug, as an operator may who looks for a fault."""
    for name in ("", *LIBRARIES):
        logging.getLogger(name).setLevel(logging.DEBUG)


def stored(tables: TableServiceClient, queues: QueueServiceClient) -> Iterator[tuple[str, str]]:
    """Every cell of every table, keys too, and every visible message of every queue, each with where it stands."""
    for table in tables.list_tables():
        for row in tables.get_table_client(table.name).list_entities():
            yield from ((f"{table.name}.{column}", str(value)) for column, value in row.items())
    for queue in queues.list_queues():
        for message in queues.get_queue_client(queue).peek_messages(max_messages=32):
            yield f"queue {queue.name}", str(message.content)


def without(places: Iterable[tuple[str, str]], exceptions: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is to be searched: all but the places that begin as one of the exceptions does."""
    return [(where, text) for where, text in places if not where.startswith(tuple(exceptions))]

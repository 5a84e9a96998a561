"""Reading a message's body, plain or base64, and the fields of its JSON, each of its type or refused with a reason."""

import base64
import binascii
import json
import math
from datetime import UTC, datetime

from shared.model import Json

type Object = dict[str, Json]


class MessageRefused(Exception):
    """The message can't be accepted; the text says why, without quoting what may be a secret."""


def text_of(body: bytes) -> str:
    """The text of a message's body, decoded if it is base64.

    Raises:
        MessageRefused: it is no text, or empty.
    """
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise MessageRefused("the message is not UTF-8") from None
    if not text:
        raise MessageRefused("the message is empty")
    return _from_base64(text) or text


def _from_base64(text: str) -> str | None:
    """What ``text`` says if it is base64 of printable text, else None: an operation ID can look like base64."""
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True).decode("utf-8-sig").strip()
    except (binascii.Error, ValueError):
        return None
    is_json = decoded.startswith(("{", '"'))
    is_text = all(character.isprintable() or character in "\r\n\t" for character in decoded)
    return decoded if decoded and (is_json or is_text) else None


def content_of(text: str) -> Object | str:
    """What the text says: a JSON object, or a bare operation ID.

    Raises:
        MessageRefused: it is JSON cut short, or other JSON.
    """
    if text[0] not in '{["':
        return text
    try:
        content = json.loads(text, parse_constant=_not_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        raise MessageRefused("the message looks like JSON and is none; check that it is complete") from None
    if not isinstance(content, (dict, str)):
        raise MessageRefused("the message is a JSON array; expected an object, one operation a message")
    return content


def _not_finite(text: str) -> float:
    raise MessageRefused(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _not_finite("a number out of range")


class Fields:
    """Typed access to an object from outside; remembers which fields were asked for.

    Each method raises ``MessageRefused``, with the field's name and never its value, if the field is of another type.
    """

    def __init__(self, fields: Object) -> None:
        self._fields = fields
        self._known: set[str] = set()

    def _get(self, name: str) -> Json:
        self._known.add(name)
        return self._fields.get(name)

    def string(self, name: str) -> str | None:
        """A text in valid Unicode, or None."""
        value = self._get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise MessageRefused(f"'{name}' is not a string")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise MessageRefused(f"'{name}' is not valid Unicode") from None
        return value

    def name(self, name: str, default: str = "", setting: str = "") -> str:
        """A text that names something, or the default, which ``setting`` would give: never empty, fit for a URL."""
        value = self.string(name) or default
        if not value:
            raise MessageRefused(f"'{name}' is missing" + (f" and {setting} is not set" if setting else ""))
        if any(character < " " or character == "\x7f" for character in value):
            raise MessageRefused(f"'{name}' has a control character")
        # As a part of a URL's path these two mean a folder, however they are escaped.
        if value in {".", ".."}:
            raise MessageRefused(f"'{name}' is only dots")
        return value

    def number(self, name: str, most: int = 2**63 - 1) -> int | None:
        """A whole number from 0 to ``most``, or None. JSON knows one kind of numbers, so that 1.0 is one too."""
        value = self._get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise MessageRefused(f"'{name}' is not a whole number from 0 to {most}")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false; the default for anything else."""
        value = self._get(name)
        return value if isinstance(value, bool) else default

    def time(self, name: str) -> datetime:
        """A time in UTC, taken for UTC if it doesn't say."""
        try:
            time = datetime.fromisoformat(self.string(name) or "")
            return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            raise MessageRefused(f"'{name}' is not a time") from None

    def object(self, name: str) -> Object | None:
        """A JSON object, or None."""
        value = self._get(name)
        if value is not None and not isinstance(value, dict):
            raise MessageRefused(f"'{name}' is not an object")
        return value

    def objects(self, name: str) -> list[Object]:
        """A list of JSON objects, empty if there is none."""
        return self._list(name, dict, "objects")

    def texts(self, name: str) -> list[str]:
        """A list of texts, empty if there is none."""
        return self._list(name, str, "strings")

    def _list[T](self, name: str, kind: type[T], kinds: str) -> list[T]:
        value = self._get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
            raise MessageRefused(f"'{name}' is not a list of {kinds}")
        return [item for item in value if isinstance(item, kind)]

    def rest(self) -> Object:
        """The fields that nothing asked for."""
        return {name: value for name, value in self._fields.items() if name not in self._known}

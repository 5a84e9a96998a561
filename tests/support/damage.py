"""JSON from outside as it should not be: a good one with values, names and bytes of it changed at random places."""

import base64
import codecs
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, Final

from hypothesis import event
from hypothesis import strategies as st

from tests.support.facts import URL

type Path = tuple[str | int, ...]

# Texts in the place of what json.dumps can't write, replaced in the text that it made.
_RAW: Final = {
    "raw 1": "1e400",
    "raw 2": "-1e400",
    "raw 3": "9" * 5_000,
    "raw 4": "NaN",
    "raw 5": "-Infinity",
    "raw 6": "-0",
    "raw 7": "1E5",
    "raw 8": "01",
    "raw 9": '"\\ud83d"',
    "raw 10": "[" * 30_000 + "]" * 30_000,
    "raw 11": '{"a":' * 300 + "1" + "}" * 300,
    "raw 12": "0." + "1" * 5_000,
    "raw 13": '{"a": 1, "a": null, "A": "x"}',
}
TIMES = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.9999999Z",
    "9999-12-31T23:59:59-14:00",
    "10000-01-01T00:00:00Z",
    "1600-12-31T23:59:59Z",
    "1601-01-01T00:00:00+00:01",
    "2016-12-31T23:59:60Z",
    "2025-10-01T24:00:00Z",
    "2025-02-29T00:00:00Z",
    "2025-W01-1",
    "20251001T120000Z",
    "2025-10-01T12:00:00+23:59:59.999999",
    "2025-10-01T12:00:00+24:00",
    "2025-10-01\ud80012:00:00",
    "2025-10-01T12:00:00Z" + "0" * 5_000,
]
_WORDS = [
    *(
        "Succeeded",
        "failed",
        "FAILED",
        "InProgress",
        "queued",
        "Canceled",
        "Paused",
        "Transient",
        "transient",
        "Permanent",
    ),
    *(
        "Exhausted",
        "Unknown",
        "Sporadic",
        "Skipped_IngestByTagAlreadyExists",
        URL,
        f"{URL}?sig=abc#x",
        "https://",
        "://",
    ),
    *(
        "",
        " ",
        ".",
        "..",
        "\0",
        "a\0b",
        "\x01\x1f\x7f",
        "\ud800",
        "a\udfffb",
        "\uffff\ufeff",
        "😀" * 300,
        "a/b\\c#d?e%f=g|h",
    ),
    *(
        "x" * 513,
        "x" * 40_000,
        "\u20ac" * 33_000,
        "😀" * 17_000,
        "-eyJ" * 9_000,
        "abfss://" + ":" * 20_000,
        "a=2Fb",
        "null",
        "{}",
        "[]",
    ),
]
_NUMBERS = [0, -1, 1, 1.5, 2.0, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**300, 1e308, 5e-324]
_ODD: Final[list[Any]] = [
    *(None, True, False, [], {}, [None], [[]], [{}], {"": None}),
    *(*_NUMBERS, *_WORDS, *TIMES, *_RAW),
]
VALUES: Final[st.SearchStrategy[Any]] = (
    st.sampled_from(_ODD)
    | st.integers()
    | st.text(max_size=12)
    | st.lists(st.none() | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), max_size=3)
)
_NAMES = st.sampled_from(
    ["", "details", "status", "operationId", "OPERATIONID", "url", "blobs", "\0", "\ud800", "x" * 300]
)


def paths(value: Any, path: Path = ()) -> Iterator[Path]:  # noqa: ANN401, JSON
    """The places of all that is within a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield (*path, key)
        yield from paths(each, (*path, key))


def _change(draw: st.DrawFn, content: Any) -> None:  # noqa: ANN401, JSON
    """Change, remove, rename, double or add one thing somewhere within."""
    places = list(paths(content))
    if not places:
        return
    *way, last = draw(st.sampled_from(places))
    holder = content
    for step in way:
        holder = holder[step]
    what = draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename", "add", "double"]))
    event(f"change: {what}")
    if what == "replace":
        holder[last] = deepcopy(draw(VALUES))
    elif what == "remove":
        del holder[last]
    elif what == "rename" and isinstance(holder, dict):
        holder[draw(_NAMES | st.sampled_from([str(last).upper(), str(last).lower()]))] = holder.pop(last)
    elif isinstance(holder, dict):
        holder[draw(_NAMES)] = deepcopy(draw(VALUES))
    else:
        holder += [deepcopy(holder[last]) for _ in range(draw(st.integers(1, 3)))]


@st.composite
def changed(draw: st.DrawFn, good: Any) -> str:  # noqa: ANN401, JSON
    """The JSON text of a good value in which up to four things are changed."""
    content = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(0, 4))):
        _change(draw, content)
    return _with_raw(json.dumps(content, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1]))))


def _with_raw(text: str) -> str:
    for name, raw in _RAW.items():
        text = text.replace(json.dumps(name), raw)
    return text


def one_odd_value(good: Any) -> Iterator[bytes]:  # noqa: ANN401, JSON
    """Bodies with each odd value at each place of a good one, which chance alone would not come to."""
    for *way, last in paths(good):
        for odd in _ODD:
            content = json.loads(json.dumps(good))
            holder = content
            for step in way:
                holder = holder[step]
            holder[last] = odd
            yield _with_raw(json.dumps(content)).encode()


@st.composite
def _bytes_changed(draw: st.DrawFn, text: str) -> bytes:
    body = bytearray(text.encode(errors="surrogatepass"))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        piece = st.binary(max_size=3) | st.sampled_from(
            [b"\0", b'"', b"}", b",", b"\\u0000", b"\\ud800", b"\xff\xfe", b" "]
        )
        body[start : start + draw(st.integers(0, 4))] = draw(piece)
    return bytes(body)


def _cut(text: str) -> st.SearchStrategy[bytes]:
    body = text.encode(errors="surrogatepass")
    return st.integers(0, len(body)).map(lambda end: body[:end])


def _encoder(*names: str, mark: bytes = b"") -> Callable[[str], bytes]:
    def encode(text: str) -> bytes:
        body = mark + text.encode(names[0], errors="replace" if names[0] == "latin-1" else "surrogatepass")
        for _ in names[1:]:
            body = base64.b64encode(body)
        return body

    return encode


WRAPPINGS: Final[dict[str, Callable[[str], bytes]]] = {
    "UTF-8": _encoder("utf-8"),
    "UTF-8 with BOM": _encoder("utf-8", mark=codecs.BOM_UTF8),
    "UTF-16": _encoder("utf-16"),
    "UTF-32": _encoder("utf-32"),
    "UTF-16 without BOM": _encoder("utf-16-le"),
    "latin-1": _encoder("latin-1"),
    "base64": _encoder("utf-8", "base64"),
    "base64 with BOM": _encoder("utf-8", "base64", mark=codecs.BOM_UTF8),
    "base64 of UTF-16": _encoder("utf-16", "base64"),
    "base64 of latin-1": _encoder("latin-1", "base64"),
    "base64 of base64": _encoder("utf-8", "base64", "base64"),
}


@st.composite
def damaged(draw: st.DrawFn, good: Any) -> bytes:  # noqa: ANN401, JSON
    """A body: most often well-formed and strange, so that what lies behind the parser is reached; else broken."""
    text = draw(changed(good))
    how = draw(st.sampled_from(["UTF-8"] * 12 + [*WRAPPINGS, "cut", "bytes", "bytes"]))
    event(f"body: {how}")
    if how == "cut":
        return draw(_cut(text))
    return draw(_bytes_changed(text)) if how == "bytes" else WRAPPINGS[how](text)

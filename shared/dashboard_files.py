"""The files of the page at `/api/dashboard`: those in the folder `dashboard`, with headers that keep a browser strict.

They hold no data, so that anybody may have them; what they show comes from the API, which asks for a key or a login.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

FOLDER = Path(__file__).parent / "dashboard"
START = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""Nothing from elsewhere, nothing inline, in nobody's frame, and no text that becomes markup or code."""

_HEADERS = {
    # Asked for anew each time, which costs an empty answer: the files of two versions must not be mixed.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: an HTTP status, a file's bytes, and headers with its type."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)


def start(url: str, known: str = "") -> Reply:
    """Answers a request for the page itself.

    Args:
        url: As it was asked for.
        known: As `serve` has it.

    Returns:
        The page; 308 to its own address where a slash stands at the end, by which the browser would miss its files.
    """
    if urlsplit(url).path.endswith("/"):
        return Reply(308, {**_HEADERS, "Location": "../dashboard"})
    return serve(START, known)


def serve(name: str, known: str = "") -> Reply:
    """Answers a request for one of the files.

    Args:
        name: The file's name, as it came.
        known: The header `If-None-Match`: the versions that the browser has, or empty.

    Returns:
        200 with the file, 304 where the browser has it, 404 where there is none of that name.
    """
    file = _files().get(name)
    if file is None:
        return Reply(404, {**_HEADERS, "Content-Type": "text/plain; charset=utf-8"}, b"There is no such file.\n")
    headers = {**_HEADERS, "Content-Type": file.media_type, "ETag": file.etag}
    # Proxies that compress make a weak tag of it, which names the same file.
    if file.etag in {each.strip().removeprefix("W/") for each in known.split(",")}:
        return Reply(304, headers)
    return Reply(200, headers, file.content)


@dataclass(frozen=True, slots=True)
class _File:
    media_type: str
    etag: str
    content: bytes


@cache
def _files() -> Mapping[str, _File]:
    """All files by name: a name that is asked for never becomes a path."""
    return {path.name: _read(path) for path in FOLDER.iterdir() if path.suffix in MEDIA_TYPES}


def _read(path: Path) -> _File:
    content = path.read_bytes()
    return _File(MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"', content)

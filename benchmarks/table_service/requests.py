"""Requests and answers of HTTP/1.1, as bytes: no more of it than storage clients use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

_END_OF_HEAD = b"\r\n\r\n"


class Malformed(ValueError):
    """The bytes are no request; the connection is of no use any more."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: GET, POST …
        target: As it came: a path with its query, or a whole URI.
        headers: By their names in small letters.
        body: The bytes after the head.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        status: Of HTTP.
        body: What follows the head; "" for nothing.
        headers: Beside its length.
    """

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def wire(self, *, has_length: bool = True) -> bytes:
        """The answer as it is sent; without ``Content-Length`` as a part of a batch."""
        body = self.body.encode()
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if has_length and self.status != HTTPStatus.NO_CONTENT:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode() + _END_OF_HEAD + body


def read_request(data: bytes | bytearray) -> tuple[Request, int] | None:
    """The request at the beginning of ``data``, and how long it is; None if some of it is still to come.

    Raises:
        Malformed: it is no request that this understands.
    """
    end = data.find(_END_OF_HEAD)
    if end < 0:
        return None
    request = read_head(bytes(data[:end]))
    if "transfer-encoding" in request.headers:
        raise Malformed("a body without a length")
    begin = end + len(_END_OF_HEAD)
    length = begin + int(request.headers.get("content-length", "0"))
    if len(data) < length:
        return None
    return Request(request.method, request.target, request.headers, bytes(data[begin:length])), length


def read_head(head: bytes) -> Request:
    """A request's first line and headers.

    Raises:
        Malformed: they are none.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, _ = first.split(" ")
    except ValueError:
        raise Malformed(first) from None
    return Request(method, target, read_headers(lines))


def read_headers(lines: list[str]) -> dict[str, str]:
    """Header lines by their names in small letters."""
    parted = (line.partition(":") for line in lines if line)
    return {name.lower(): value.strip() for name, _, value in parted}

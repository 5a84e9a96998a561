"""Continuation tokens: a position in a listing, good for the same listing alone.

A token is the position and a digest over it and over the filters that it was given out for. There is no secret in the
digest: it tells mistakes, and whoever may list with these filters may begin anywhere.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence

from shared.api.problems import BadRequest

_MALFORMED = "the continuationToken is malformed: give back what an answer gave, unchanged"

_DIGEST = 12
"""Bytes of it that a token has."""


def write_token(position: str | None, filters: Sequence[object]) -> str | None:
    """The token of a position; None where there is none, as the listing has ended."""
    if position is None:
        return None
    data = position.encode()
    return base64.urlsafe_b64encode(_digest(data, filters) + data).decode().rstrip("=")


def read_token(token: str | None, filters: Sequence[object]) -> str | None:
    """The position of a token.

    Raises:
        BadRequest: it is none that this API has given out for these filters.
    """
    if token is None:
        return None
    try:
        decoded = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        digest, data = decoded[:_DIGEST], decoded[_DIGEST:]
        position = data.decode()
    except (binascii.Error, ValueError):
        raise BadRequest(_MALFORMED) from None
    if not data:
        raise BadRequest(_MALFORMED)
    if digest != _digest(data, filters):
        raise BadRequest(
            "the continuationToken is of another listing: give it back with the filters it came with, or begin anew"
        )
    return position


def _digest(position: bytes, filters: Sequence[object]) -> bytes:
    return hashlib.sha256(repr(filters).encode() + b"\n" + position).digest()[:_DIGEST]

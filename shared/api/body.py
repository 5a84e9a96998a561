"""Reading a request's body."""

from shared.api.problems import BadRequest, NotJson, TooLarge
from shared.api.request import JSON, Request
from shared.fields import Object, content_of

LONGEST = 48 * 1024
"""Bytes: what a queue takes (64 KiB), should the message have to go as base64."""


def read_object(request: Request, *, may_be_empty: bool = False) -> Object:
    """The JSON object of a request's body; an empty one where there is none and that is allowed.

    Raises:
        BadRequest: it is none.
        MessageRefused: it is other JSON, or cut short.
        NotJson: it is not said to be JSON.
        TooLarge: it is longer than 48 KiB.
    """
    _check_media_type(request)
    if len(request.body) > LONGEST:
        raise TooLarge(f"the body has {len(request.body)} bytes; {LONGEST} are the most")
    try:
        text = request.body.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None
    if not text and may_be_empty:
        return {}
    content = content_of(text) if text else ""
    if isinstance(content, str):
        raise BadRequest("the body is to be a JSON object")
    return content


def _check_media_type(request: Request) -> None:
    """Refuse a body that is not said to be JSON: a browser sends such a one for any page of another site, unasked.

    Raises:
        NotJson: it is not.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise NotJson(f"send the header Content-Type: {JSON}")

"""The HTTP functions: a request read, an act of the app, an answer in JSON; errors as problem details (RFC 9457).

Who asks is told by the key that the request came with, and by what it says of itself in ``as``.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.app import Tracker, UnknownQueue
from shared.fields import Fields, MessageRefused, Object
from shared.invocation import StorageFailed
from shared.redrive import Redriven, RedriveRefused, StillWatched, UnknownOperation
from shared.redrive_request import name_of, read_content, read_most
from shared.store.results import Contended
from shared.store.tables import NotStorable

_STATUSES: dict[type[Exception], tuple[int, str]] = {
    MessageRefused: (400, "The request is not understood"),
    UnknownOperation: (404, "No such operation"),
    UnknownQueue: (404, "No such queue"),
    StillWatched: (409, "The operation has not ended"),
    RedriveRefused: (422, "It can't be redriven"),
    NotStorable: (422, "It can't be written down"),
    StorageFailed: (503, "Storage could not be used; do it again"),
    Contended: (503, "Others are at the same rows; do it again"),
}


@dataclass(frozen=True, slots=True)
class Request:
    """What came: the body, and the function key that it came with, if any."""

    body: bytes = field(repr=False)
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: an HTTP status and JSON."""

    status: int
    content: Object
    media_type: str = "application/json"


def redrive_blobs(get_tracker: Callable[[], Tracker], operation_id: str, request: Request) -> Answer:
    """Have an operation's given-up blobs tried again."""

    def act() -> Redriven:
        content = read_content(request.body)
        by = _asking(content, request)
        return get_tracker().redrive_blobs(operation_id, _without_asking(content), by)

    return _answered(act, "blobs")


def redrive_messages(get_tracker: Callable[[], Tracker], queue: str, request: Request) -> Answer:
    """Have the messages of a poison queue handled again."""

    def act() -> Redriven:
        content = read_content(request.body)
        by = _asking(content, request)
        return get_tracker().redrive_messages(queue, by, read_most(_without_asking(content)))

    return _answered(act, "messages")


def _answered(act: Callable[[], Redriven], what: str) -> Answer:
    try:
        done = act()
    except tuple(_STATUSES) as error:
        status, title = next(each for kind, each in _STATUSES.items() if isinstance(error, kind))
        problem: Object = {"type": "about:blank", "title": title, "status": status, "detail": str(error)}
        return Answer(status, problem, "application/problem+json")
    return Answer(200, {"redriveId": done.redrive_id, what: done.count, "left": done.left})


def _asking(content: Object, request: Request) -> str:
    """Who asks: the key by its digest, of which the key can't be told, and the name that was given."""
    key = f"key {hashlib.sha256(request.key.encode()).hexdigest()[:8]}" if request.key else ""
    named = Fields(content).string("as")
    if named is None and key:
        return key
    name = name_of(named or "")
    return f"{name} ({key})" if key else name


def _without_asking(content: Object) -> Object:
    return {name: value for name, value in content.items() if name != "as"}

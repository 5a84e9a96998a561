"""What goes wrong, and how it is told: problem details (RFC 9457), their ``detail`` for a person.

ApiRefused
├── BadRequest           400: a parameter, the body or a continuation token is not understood
├── NotAuthenticated     401: the platform has not said who asks
├── TooLarge             413: the body is longer than a message may be
└── NotJson              415: the body is not said to be JSON
"""

from http import HTTPStatus

from shared.api.request import PROBLEM, Answer
from shared.app import UnknownQueue
from shared.fields import MessageRefused, Object
from shared.invocation import StorageFailed
from shared.reading import AmbiguousOperation
from shared.redrive import RedriveRefused, StillWatched, UnknownOperation
from shared.store.results import Contended
from shared.store.tables import BadPosition, NotStorable


class ApiRefused(Exception):
    """The request can't be answered as it is; the text says why, without quoting what may be a secret."""


class BadRequest(ApiRefused):
    """A parameter, the body or a continuation token is not understood."""


class NotAuthenticated(ApiRefused):
    """The platform has not said who asks."""


class TooLarge(ApiRefused):
    """The body is longer than a message may be."""


class NotJson(ApiRefused):
    """The body is not said to be JSON."""


_STATUSES: dict[type[Exception], tuple[HTTPStatus, str]] = {
    BadRequest: (HTTPStatus.BAD_REQUEST, "The request is not understood"),
    BadPosition: (HTTPStatus.BAD_REQUEST, "The request is not understood"),
    MessageRefused: (HTTPStatus.BAD_REQUEST, "The request is not understood"),
    NotAuthenticated: (HTTPStatus.UNAUTHORIZED, "Nobody is signed in"),
    UnknownOperation: (HTTPStatus.NOT_FOUND, "No such operation"),
    UnknownQueue: (HTTPStatus.NOT_FOUND, "No such queue"),
    AmbiguousOperation: (HTTPStatus.CONFLICT, "Several operations have this ID"),
    StillWatched: (HTTPStatus.CONFLICT, "The operation has not ended"),
    TooLarge: (HTTPStatus.CONTENT_TOO_LARGE, "The body is too long"),
    NotJson: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is not JSON"),
    RedriveRefused: (HTTPStatus.UNPROCESSABLE_CONTENT, "It can't be redriven"),
    NotStorable: (HTTPStatus.UNPROCESSABLE_CONTENT, "It can't be written down"),
    StorageFailed: (HTTPStatus.SERVICE_UNAVAILABLE, "Storage could not be used; do it again"),
    Contended: (HTTPStatus.SERVICE_UNAVAILABLE, "Others are at the same rows; do it again"),
}

TOLD = tuple(_STATUSES)
"""The errors that are answers; any other one is a fault of the app, which the host answers with an empty 500."""


def problem(error: Exception) -> Answer:
    """The answer to a request that one of ``TOLD`` has ended."""
    status, title = next(each for kind, each in _STATUSES.items() if isinstance(error, kind))
    content: Object = {"type": "about:blank", "title": title, "status": int(status), "detail": str(error)}
    return Answer(status, content, PROBLEM)

"""What an endpoint is: its route, what it takes, what it answers, and the act that answers.

The OpenAPI document is made of the same declarations that requests are read by (``shared.api.openapi``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.api.callers import check_caller
from shared.api.parameters import Parameter, Values, read_query
from shared.api.problems import TOLD, problem
from shared.api.request import Answer, Request
from shared.app import Tracker
from shared.fields import Object
from shared.health import Health
from shared.invocation import invocation, told_safely
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Backend:
    """What the endpoints work with; the app is built when it is asked for, which waits for storage."""

    settings: Settings
    tracker: Callable[[], Tracker]
    health: Callable[[], Health]
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was let in, and the values of its parameters."""

    backend: Backend
    request: Request
    values: Values


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of an endpoint, for the document: what it means, and the schema of its JSON by its name."""

    description: str
    schema: str
    headers: Mapping[str, Object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Body:
    """What a request's body is, for the document."""

    description: str
    schema: str
    required: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint.

    Attributes:
        name: Of its function, and in the document.
        method: Of HTTP.
        path: After ``/api``.
        summary: What it does, in a line.
        description: The rest that is to be known of it.
        act: Answers.
        parameters: Those of the query.
        body: What it takes, if anything.
        replies: What it answers, by HTTP status.
        problems: Why else it may be refused, by HTTP status.
        uses_storage: Whether it can't be answered while storage is away.
    """

    name: str
    method: str
    path: str
    summary: str
    description: str
    act: Callable[[Asked], Answer]
    parameters: tuple[Parameter[Any], ...] = ()
    body: Body | None = None
    replies: Mapping[int, Reply] = field(default_factory=dict)
    problems: Mapping[int, str] = field(default_factory=dict)
    uses_storage: bool = True


def answer(endpoint: Endpoint, backend: Backend, request: Request) -> Answer:
    """What an endpoint answers to a request.

    Raises:
        Exception: a fault of the app; it was told, and the host answers with an empty 500.
    """
    with invocation(endpoint.name):
        try:
            with told_safely():
                check_caller(request, backend.settings)
                values = read_query(request.query, endpoint.parameters)
                return endpoint.act(Asked(backend, request, values))
        except TOLD as error:
            return problem(error)

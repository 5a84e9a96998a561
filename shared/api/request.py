"""What comes and what goes, without any SDK's classes: an HTTP request as the host hands it over, and an answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.fields import Object

JSON = "application/json"
PROBLEM = "application/problem+json"

NOT_STORED: Mapping[str, str] = {"Cache-Control": "no-store"}
"""What an answer says is true now, and for whoever asked."""


@dataclass(frozen=True, slots=True)
class Request:
    """What came. All of it may hold a secret: a key in the query or in a header, a SAS in the body.

    Attributes:
        url: The whole URL. Its query is as it was sent: the host hands the parameters over by themselves too, but
            repeated ones joined by commas and without the empty ones (``GrpcMessageConversionExtensions.ToRpcHttp`` of
            Azure/azure-functions-host).
        headers: By their names in small letters.
        route: The values of the route's parameters, decoded but for ``%2F``.
        body: As it was sent.
    """

    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    route: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def query(self) -> str:
        """What stands behind the question mark, as it was sent."""
        return self.url.partition("#")[0].partition("?")[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: an HTTP status, JSON, and headers beside its type and length."""

    status: int
    content: Object
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=lambda: NOT_STORED)

    @property
    def text(self) -> str:
        """The JSON, all ASCII."""
        return json.dumps(self.content, allow_nan=False)

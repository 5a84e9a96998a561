"""HTTP answers as values."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

TRY_AGAIN_STATUSES = frozenset({404, 408, 429})
ERROR_CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "BadRequest_EntityNotFound",
    405: "MethodNotAllowed",
    413: "PayloadTooLarge",
    429: "TooManyRequests",
}
GATEWAY_PAGE = """<html>
<head><title>Bad Gateway</title></head>
<body><h1>Bad Gateway</h1><p>The service did not answer.</p></body>
</html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: The HTTP status.
        body: The text, sent as it is.
        headers: `Content-Type` is JSON's unless it is among them.
    """

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request is answered with a Kusto error.

    Attributes:
        status: The HTTP status.
        code: The error's `code`; one that fits the status when None.
        message: What is wrong.
        permanent: `@permanent`; what fits the status when None.
    """

    def __init__(self, status: int, message: str, *, code: str | None = None, permanent: bool | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.permanent = permanent


def json_answer(body: object, *, status: int = 200) -> Answer:
    """Returns an answer with a JSON body.

    Args:
        body: What it says.
        status: The HTTP status.
    """
    return Answer(status=status, body=json.dumps(body))


def error_answer(refused: Refused, *, now: datetime, retry_after: str | None = None) -> Answer:
    """Returns a Kusto error.

    Args:
        refused: What is wrong.
        now: The time for its context.
        retry_after: The header of that name.
    """
    code = refused.code or ERROR_CODES.get(refused.status, "General_InternalServerError")
    permanent = refused.permanent
    if permanent is None:
        permanent = refused.status < 500 and refused.status not in TRY_AGAIN_STATUSES  # noqa: PLR2004, server errors
    body = {
        "error": {
            "code": code,
            "message": f"Request is invalid and cannot be executed: {refused.message}"
            if permanent
            else refused.message,
            "@type": f"Kusto.Simulator.Exceptions.{code}Exception",
            "@message": refused.message,
            "@context": {"timestamp": now.isoformat(), "serviceAlias": "SIMULATOR", "activityId": str(uuid.uuid4())},
            "@permanent": permanent,
        }
    }
    return Answer(status=refused.status, body=json.dumps(body), headers=_retry(retry_after))


def gateway_page(status: int, *, retry_after: str | None = None) -> Answer:
    """Returns what a gateway answers in the service's place.

    Args:
        status: The HTTP status.
        retry_after: The header of that name.
    """
    return Answer(status=status, body=GATEWAY_PAGE, headers={"Content-Type": "text/html", **_retry(retry_after)})


def _retry(after: str | None) -> dict[str, str]:
    return {} if after is None else {"Retry-After": after}

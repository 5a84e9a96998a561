"""The errors of asking ADX.

KustoError
├── OperationNotFound      404: unknown, or not yet visible just after its submission
├── AccessRefused          a 401 that a fresh token did not mend, or no token to be had
│   └── RoleMissing        403
├── Throttled              429
├── Unavailable            408, 5xx, time-outs, connections that fail, bodies that are no status
├── RequestRejected        any other 4xx: asking again unchanged does not help
└── EndpointNotAllowed     not in KUSTO_INGEST_URI or KUSTO_ALLOWED_INGEST_URIS; no byte was sent
"""

from datetime import timedelta


class KustoError(Exception):
    """ADX did not answer what it was asked.

    Attributes:
        retry_after: How long the service asks to wait, if it said so.
        maybe_accepted: For a submission: it may have been accepted although no answer says so.
        is_of_table: It concerns the operations of one table, and not the cluster as a whole.
        answer: What it is called as ADX's answer to a call, in metrics.
    """

    is_of_table = False
    answer = "failed"

    def __init__(self, message: str, *, retry_after: timedelta | None = None, maybe_accepted: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.maybe_accepted = maybe_accepted


class OperationNotFound(KustoError):
    """The operation is not known to ADX, or not yet."""

    answer = "not_found"


class AccessRefused(KustoError):
    """ADX refused the app's identity; the message names the role that is missing."""

    answer = "access_refused"


class RoleMissing(AccessRefused):
    """ADX knows the identity, which lacks a role on the table or the database."""

    is_of_table = True
    answer = "role_missing"


class Throttled(KustoError):
    """The cluster asks for fewer requests."""

    answer = "throttled"


class Unavailable(KustoError):
    """The service, or the way to it, failed; trying again may help."""

    answer = "unavailable"


class RequestRejected(KustoError):
    """The request itself is wrong."""

    answer = "rejected"


class EndpointNotAllowed(KustoError):
    """The endpoint may not be sent a token."""

    answer = "endpoint_not_allowed"

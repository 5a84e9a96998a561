"""What doctor looks at: each thing by itself, against the real resource, and nothing is changed by it.

Whether something may be written is told by a deletion of what is not there: it is refused for the lack of a right
before it is found to be missing. Where only sending is allowed it is told as far as it can be without sending anything:
a consumer would take it for an ending.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.data.tables import TableClient
from azure.storage.queue import QueueClient

from cli.errors import TrackerError, Unreachable
from cli.grants import (
    NOBODY,
    QUEUE_CONTRIBUTOR,
    QUEUE_SENDER,
    TABLE_CONTRIBUTOR,
    TOPIC_SENDER,
    Principal,
    ingestor_grant,
    queue_scope,
    storage_grant,
    table_scope,
    topic_grant,
    user_grant,
)
from shared.endpoints import doubtful_endpoint
from shared.errors import (
    KustoError,
    OperationNotFound,
    RequestRejected,
    RoleMissing,
)
from shared.event_grid import NotSent, Topic
from shared.kusto.client import KustoClient
from shared.model import Operation
from shared.redaction import redacted_line
from shared.settings import Settings
from shared.store.tables import Conflict, Table, deletion

_FORBIDDEN = 403
_UNAUTHORIZED = 401
_NOT_FOUND = 404
_NOBODYS_ROW = "!doctor"
_NOBODYS_RECEIPT = "AgAAAAMAAAAAAAAAAAAAAAAAAAA="


class Outcome(StrEnum):
    """How a check ended. A doubt is worth a look and no failure."""

    OK = "ok"
    DOUBT = "doubt"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and the commands that give what is missing."""

    name: str
    outcome: Outcome
    detail: str = ""
    commands: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As it is written to JSON."""
        return {
            "name": self.name,
            "outcome": self.outcome.value,
            "detail": self.detail,
            "commands": list(self.commands),
        }


def check_endpoints(settings: Settings) -> Iterator[Check]:
    """Whether the endpoints that may be sent a token are Azure Data Explorer's."""
    for uri in sorted({settings.ingest_uri, *settings.allowed_ingest_uris}):
        doubt = doubtful_endpoint(uri)
        yield Check(f"endpoint {uri}", Outcome.DOUBT if doubt else Outcome.OK, doubt or "")


def check_queue(client: QueueClient, account: str, principal: Principal) -> Iterator[Check]:
    """Whether a queue may be read, and messages put on it and taken out."""
    name = str(client.queue_name)
    grant = storage_grant(principal, QUEUE_CONTRIBUTOR, account, queue_scope(name))
    make = f"az storage queue create --name {name} --account-name {account} --auth-mode login"

    def take_out() -> None:
        # It asks for the same role as putting in does.
        client.delete_message(str(uuid.uuid4()), _NOBODYS_RECEIPT)

    yield _asked(f"queue {name}: read", client.get_queue_properties, QUEUE_CONTRIBUTOR, grant, make)
    yield _asked(f"queue {name}: write", take_out, QUEUE_CONTRIBUTOR, grant, make, is_missing_well=True)


def check_results_queue(client: QueueClient, account: str, principal: Principal) -> Check:
    """Whether the news of ends may be put on a queue, as far as that can be told without putting any there.

    The app's role lets it add messages and nothing else. Who may change them may add them as well
    (https://learn.microsoft.com/rest/api/storageservices/put-message#permissions); of others only a refusal is certain.
    """
    name = f"queue {client.queue_name}: send"
    grant = storage_grant(principal, QUEUE_SENDER, account, queue_scope(str(client.queue_name)))
    make = f"az storage queue create --name {client.queue_name} --account-name {account} --auth-mode login"

    def change() -> None:
        client.update_message(str(uuid.uuid4()), _NOBODYS_RECEIPT, visibility_timeout=0)

    def send() -> None:
        # Not taken, as it would be seen only after its end: and if it were, nobody would see it.
        client.send_message("", visibility_timeout=60, time_to_live=1)

    found = _asked(name, change, QUEUE_SENDER, grant, make, is_missing_well=True)
    if found.commands != (grant,):
        return found
    found = _asked(name, send, QUEUE_SENDER, grant, make, is_missing_well=True)
    return found if found.outcome is Outcome.FAILED else Check(name, Outcome.DOUBT, _NOT_SENT, (grant,))


def check_topic(topic: Topic, origin: str, principal: Principal) -> Check:
    """Whether events may be published to a topic, as far as that can be told by a batch of none."""
    name = f"topic {origin}: publish"
    grant = topic_grant(principal, origin)
    try:
        topic.publish("[]")
    except NotSent as error:
        if error.status in (_FORBIDDEN, _UNAUTHORIZED):
            return Check(name, Outcome.FAILED, f"refused ({error.status}): {TOPIC_SENDER} is missing", (grant,))
        if error.is_of_event:
            return Check(name, Outcome.DOUBT, _NOT_SENT, (grant,))
        return Check(name, Outcome.FAILED, str(error))
    return Check(name, Outcome.OK)


_NOT_SENT = (
    "it answers, and did not refuse; whether it takes news was not tried, as consumers would take that for an ending. "
    "If the app logs news.failed for a missing role"
)
"""A request that is wrong may be refused for that before anybody looks at roles."""


def check_table(client: TableClient, account: str, principal: Principal) -> Iterator[Check]:
    """Whether a table's rows may be read and written."""
    name = client.table_name
    grant = storage_grant(principal, TABLE_CONTRIBUTOR, account, table_scope(name))
    make = f"az storage table create --name {name} --account-name {account} --auth-mode login"

    table = Table(client)

    def read() -> None:
        table.get(_NOBODYS_ROW, _NOBODYS_ROW)
        next(table.query("PartitionKey eq @key", {"key": _NOBODYS_ROW}), None)

    def write() -> None:
        with suppress(Conflict):
            table.write([deletion(_NOBODYS_ROW, _NOBODYS_ROW)])

    yield _asked(f"table {name}: read", read, TABLE_CONTRIBUTOR, grant, make)
    yield _asked(f"table {name}: write", write, TABLE_CONTRIBUTOR, grant, make)


def check_adx(client: KustoClient, operation: Operation, principal: Principal) -> Iterator[Check]:
    """Whether the cluster answers, and its database and table may be asked and loaded.

    Args:
        client: Who asks.
        operation: One that there is none of, of the table.
        principal: Whose roles they are.
    """
    user, ingestor = user_grant(principal, operation.database), ingestor_grant(principal, operation)
    first = _asked_adx(f"cluster {operation.cluster}", lambda: client.limits(operation.cluster), "any role there")
    yield first
    if first.outcome is Outcome.FAILED or not operation.database or not operation.table:
        return
    where = f"{operation.database}.{operation.table}"
    yield _asked_adx(
        f"status of {where}",
        lambda: client.status(operation, details=False),
        "User on the database, or Ingestor on the table,",
        user,
        ingestor,
    )
    # Without a blob there is nothing that could be loaded: a request that is wrong is one that may be made.
    yield _asked_adx(
        f"ingestion into {where}",
        lambda: client.submit(operation, [], {"format": "csv"}),
        "Ingestor on the table",
        ingestor,
    )


def _asked(
    name: str, act: Callable[[], object], role: str, grant: str, make: str, *, is_missing_well: bool = False
) -> Check:
    try:
        act()
    except HttpResponseError as error:
        code = str(getattr(error, "error_code", "") or "")
        if error.status_code in (_FORBIDDEN, _UNAUTHORIZED):
            return Check(name, Outcome.FAILED, f"refused ({code or error.status_code}): {role} is missing", (grant,))
        if error.status_code == _NOT_FOUND and code in ("QueueNotFound", "TableNotFound"):
            return Check(name, Outcome.FAILED, "it is not there: is it the app's storage?", (make,))
        if is_missing_well and error.status_code is not None and error.status_code < 500:  # noqa: PLR2004, HTTP
            return Check(name, Outcome.OK)
        return Check(name, Outcome.FAILED, redacted_line(error))
    except AzureError as error:
        return Check(name, Outcome.FAILED, f"{type(error).__name__}: {redacted_line(error)}")
    return Check(name, Outcome.OK)


def _asked_adx(name: str, act: Callable[[], object], role: str, *grants: str) -> Check:
    try:
        act()
    except (OperationNotFound, RequestRejected):
        return Check(name, Outcome.OK)
    except RoleMissing:
        return Check(name, Outcome.FAILED, f"refused: {role} is missing", grants)
    except KustoError as error:
        return Check(name, Outcome.FAILED, str(error))
    return Check(name, Outcome.OK)


_OF_THE_APP: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "storage": (
        f"{TABLE_CONTRIBUTOR} on the table",
        (storage_grant(NOBODY, TABLE_CONTRIBUTOR, "ACCOUNT", table_scope("TABLE")),),
    ),
    "queues": (
        f"{QUEUE_CONTRIBUTOR} on the queue",
        (storage_grant(NOBODY, QUEUE_CONTRIBUTOR, "ACCOUNT", queue_scope("QUEUE")),),
    ),
    "adx": (
        "User on the database and Ingestor on the table",
        (user_grant(NOBODY, "DATABASE"), ingestor_grant(NOBODY, Operation("", "DATABASE", "TABLE", ""))),
    ),
}
"""What the app's identity may lack where a check of its health fails, and the commands that give it."""


def checks_of_health(health: Mapping[str, Any], app: str) -> Iterator[Check]:
    """What the app says of itself, with the commands that give its identity a role that it may lack."""
    finds = f"az functionapp identity show --name {app} --resource-group RG"
    for name, found in health["checks"].items():
        detail = str(found.get("detail") or "")
        if found.get("isHealthy"):
            yield Check(f"app: {name}", Outcome.OK, detail)
        elif name in _OF_THE_APP:
            role, grants = _OF_THE_APP[name]
            advice = f"{detail}. If a role is missing, the app's identity needs {role}"
            yield Check(f"app: {name}", Outcome.FAILED, advice, (finds, *grants))
        else:
            yield Check(f"app: {name}", Outcome.FAILED, detail)


def check_api(health: Callable[[], Mapping[str, Any]], app: str) -> Iterator[Check]:
    """Whether the API lets in and answers, and what the app says of itself."""
    try:
        said = health()
    except Unreachable as error:
        yield Check("api", Outcome.FAILED, f"{error}. Does the app run? az functionapp show --name {app} --query state")
        return
    except TrackerError as error:
        key = f"az functionapp keys list --name {app} --resource-group RG"
        yield Check("api", Outcome.FAILED, str(error), (key,))
        return
    yield Check("api", Outcome.OK, "it answers")
    yield from checks_of_health(said, app)

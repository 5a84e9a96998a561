"""The commands that give what is missing: roles by the Azure CLI, roles in ADX by its own commands."""

import base64
import json
from dataclasses import dataclass

from shared.model import Operation

BLOB_READER = "Storage Blob Data Reader"
QUEUE_CONTRIBUTOR = "Storage Queue Data Contributor"
QUEUE_SENDER = "Storage Queue Data Message Sender"
TABLE_CONTRIBUTOR = "Storage Table Data Contributor"
TOPIC_SENDER = "EventGrid Data Sender"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is signed in, or what stands for them in a command.

    Attributes:
        object_id: In Entra ID.
        name: In ADX's commands: ``aaduser=…`` or ``aadapp=…``, with the tenant.
        kind: As the Azure CLI calls it.
        shown: For people.
    """

    object_id: str
    name: str
    kind: str
    shown: str


NOBODY = Principal("PRINCIPAL_ID", "aadapp=CLIENT_ID;TENANT_ID", "ServicePrincipal", "nobody known")


def principal_of(token: str) -> Principal:
    """Who a token of Entra ID is of; its claims are read and not checked, which is the business of who takes it."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        object_id, tenant = claims["oid"], claims["tid"]
        # A user signs in through an application as well.
        user = claims.get("upn") or claims.get("unique_name") or claims.get("preferred_username")
        if claims.get("idtyp") == "app" or not user:
            return Principal(
                object_id, f"aadapp={claims['appid']};{tenant}", "ServicePrincipal", f"application {claims['appid']}"
            )
        return Principal(object_id, f"aaduser={object_id};{tenant}", "User", str(user))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return NOBODY


def storage_grant(principal: Principal, role: str, account: str, scope: str) -> str:
    """The command that gives a role on a part of a storage account, such as ``queueServices/default/queues/NAME``."""
    return _role_grant(principal, role, f"$(az storage account show --name {account} --query id --output tsv)/{scope}")


def topic_grant(principal: Principal, origin: str) -> str:
    """The command that lets events be published to a topic, whose endpoint begins with its name."""
    name = origin.partition("://")[2].partition(".")[0].partition(":")[0]
    found = f"az resource list --name {name} --resource-type Microsoft.EventGrid/topics --query [0].id --output tsv"
    return _role_grant(principal, TOPIC_SENDER, f"$({found})")


def _role_grant(principal: Principal, role: str, scope: str) -> str:
    return (
        f"az role assignment create --assignee-object-id {principal.object_id} "
        f"--assignee-principal-type {principal.kind} --role '{role}' --scope \"{scope}\""
    )


def queue_scope(queue: str) -> str:
    """A queue, as a part of its account."""
    return f"queueServices/default/queues/{queue}"


def table_scope(table: str) -> str:
    """A table, as a part of its account."""
    return f"tableServices/default/tables/{table}"


def container_scope(container: str) -> str:
    """A container, as a part of its account."""
    return f"blobServices/default/containers/{container}"


def user_grant(principal: Principal, database: str) -> str:
    """The command of ADX that gives User on a database."""
    return f".add database {_quoted(database)} users ('{principal.name}')"


def ingestor_grant(principal: Principal, operation: Operation) -> str:
    """The command of ADX that gives Ingestor on a table."""
    return f".add table {_quoted(operation.table)} ingestors ('{principal.name}')"


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"

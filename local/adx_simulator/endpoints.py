"""The endpoints of the ingestion service."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.adx_simulator.answers import Answer, Refused, json_answer
from local.adx_simulator.dialects import blob_body, status_body
from local.adx_simulator.faults import RequestFacts, RequestFault
from local.adx_simulator.management import read_command, table_of
from local.adx_simulator.operations import BlobStatus, Operation, Planted
from local.adx_simulator.routes import Route
from local.adx_simulator.settings import Settings
from local.adx_simulator.simulator import Simulator
from local.adx_simulator.submissions import read_submission

BEARER = "bearer "
MAX_DATA_BYTES = 6 * 1024**3


@dataclass(frozen=True, slots=True)
class Asked:
    """What came with a request besides its path.

    Attributes:
        headers: Its headers.
        query: The query's parameters.
        body: Its body.
    """

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


def answer(simulator: Simulator, target: Route, facts: RequestFacts, asked: Asked) -> Answer:
    """Answers a request as the service does while nothing is wrong with it.

    Args:
        simulator: The service.
        target: What the request is for.
        facts: What faults know of it.
        asked: What came with it.

    Raises:
        Refused: It has no token, or asks for what can't be.
    """
    _check_token(asked.headers.get("Authorization", ""), simulator.settings.token)
    match target.kind:
        case "submit":
            return _submit(simulator, target, asked.body)
        case "status":
            return _status(simulator, facts, asked.query)
        case "configuration":
            return json_answer(_configuration(simulator.settings))
        case "bulk":
            return _bulk(simulator, asked.body)
    raise Refused(404, "nothing answers at this path")


def _check_token(authorization: str, wanted: str | None) -> None:
    token = authorization[len(BEARER) :].strip() if authorization.lower().startswith(BEARER) else ""
    if not token:
        raise Refused(401, "a bearer token is needed")
    if wanted is not None and token != wanted:
        raise Refused(401, "this bearer token is not the one that is demanded")


def _submit(simulator: Simulator, target: Route, body: bytes) -> Answer:
    submission = read_submission(body, max_blobs=simulator.settings.max_blobs_per_batch)
    operation = simulator.ingestion.accept(target.database, target.table, submission)
    return json_answer({"ingestionOperationId": operation.operation_id} if submission.tracked else {})


def _status(simulator: Simulator, facts: RequestFacts, query: Mapping[str, str]) -> Answer:
    if query.get("details", "false").lower() not in ("true", "false"):
        raise Refused(400, "details has to be true or false")
    operations = simulator.ingestion.operations
    found = operations.find(facts.database, facts.table, facts.operation_id, simulator.now())
    if isinstance(found, Operation):
        return json_answer(_status_body(simulator, found, facts))
    planted = found.next(details=facts.details) if isinstance(found, Planted) else None
    if planted is None:
        raise Refused(404, f"the operation {facts.operation_id!r} is not known")
    return planted


def _bulk(simulator: Simulator, body: bytes) -> Answer:
    now = simulator.now()
    operations = simulator.ingestion.operations.with_ids(read_command(body), now)
    return json_answer(table_of(operations, simulator.settings, now))


def _status_body(simulator: Simulator, operation: Operation, facts: RequestFacts) -> dict[str, Any]:
    settings = simulator.settings
    dialect = settings.dialect_of(operation.database, operation.table)
    counted = operation.counted(simulator.now())
    body = status_body(operation, counted, dialect)
    if facts.details:
        failed = sum(blob.status is BlobStatus.FAILED for blob in counted)
        fault = simulator.faults.for_view(facts, failed=failed)
        shown = [blob for blob in counted if not _hidden(fault, blob.status)]
        body["details"] = [blob_body(blob, dialect, show_query=settings.show_url_query) for blob in shown]
    return body


def _hidden(fault: RequestFault | None, status: BlobStatus) -> bool:
    return fault is not None and (fault.effect == "hide-details" or status is BlobStatus.FAILED)


def _configuration(settings: Settings) -> dict[str, Any]:
    return {
        "containerSettings": {
            "containers": [{"path": path} for path in settings.containers],
            "lakeFolders": [],
            "refreshInterval": "01:00:00",
            "preferredUploadMethod": "Storage",
        },
        "ingestionSettings": {
            "maxBlobsPerBatch": settings.max_blobs_per_batch,
            "maxDataSize": MAX_DATA_BYTES,
            "preferredIngestionMethod": "Rest",
        },
    }

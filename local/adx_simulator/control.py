"""The endpoints under `/simulator/`, by which a test steers the simulator and reads its books."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from local.adx_simulator.answers import Answer, Refused, error_answer, json_answer
from local.adx_simulator.crowds import Crowd
from local.adx_simulator.faults import fault_from_json
from local.adx_simulator.simulator import Simulator

DONE: dict[str, Any] = {}


def control_answer(simulator: Simulator, method: str, name: str, query: Mapping[str, str], body: bytes) -> Answer:
    """Answers a control request.

    Args:
        simulator: What it acts on.
        method: The HTTP method.
        name: The path after `/simulator/`.
        query: The query's parameters.
        body: The body.
    """
    try:
        if method == "GET":
            return json_answer(_read(simulator, name, query))
        return json_answer(_change(simulator, name, json.loads(body or b"{}")))
    except Refused as refused:
        return error_answer(refused, now=simulator.now())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        return error_answer(Refused(400, f"/simulator/{name} can't be told that: {what}"), now=simulator.now())


def _read(simulator: Simulator, name: str, query: Mapping[str, str]) -> dict[str, Any]:
    match name:
        case "books":
            ingestion = simulator.ingestion
            return ingestion.ledger.books(unfinished=ingestion.unfinished).to_json()
        case "requests":
            return simulator.log.to_json(last=int(query.get("last", "0")))
        case "polls":
            return {"polls": sorted(simulator.log.polls().items())}
        case "faults":
            return {"faults": simulator.faults.listing()}
    raise Refused(404, f"there is nothing to read at /simulator/{name}")


def _change(simulator: Simulator, name: str, data: dict[str, Any]) -> dict[str, Any]:
    match name:
        case "faults":
            simulator.set_faults([fault_from_json(fault) for fault in data["faults"]])
        case "settings":
            simulator.configure(data)
        case "operations":
            answers = _answers(data.get("plain", [])), _answers(data.get("detailed", []))
            simulator.plant(data["database"], data["table"], data["operation_id"], *answers)
        case "crowds":
            simulator.plant_many(Crowd(**data))
        case "mend":
            simulator.ingestion.mend()
        case "reset":
            simulator.reset()
        case _:
            raise Refused(404, f"there is nothing to change at /simulator/{name}")
    return DONE


def _answers(items: Sequence[dict[str, Any]]) -> list[Answer]:
    return [Answer(**item) for item in items]

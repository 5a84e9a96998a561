"""The API's description: what of it can be checked without asking the app."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared import api
from shared.api.openapi import document
from shared.settings import ApiAuth
from tests.support.api import SETTINGS
from tests.support.facts import CLUSTER

OTHER = "https://ingest-other.westeurope.kusto.windows.net"
ROUTE = re.compile(r'^@app\.function_name\("(\w+)"\)\n@app\.route\("([^"]+)", methods=\["([A-Z]+)"\]', re.MULTILINE)
DOCUMENT: Any = document(SETTINGS)
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def parts(tree: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401, of JSON
    """All objects in a tree."""
    if isinstance(tree, dict):
        yield tree
    for each in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from parts(each)


def answers() -> set[str]:
    return {reply.schema for each in api.ENDPOINTS for reply in each.replies.values()} - {"OpenApi"}


def test_it_has_the_routes_of_the_functions() -> None:
    source = (Path(__file__).parent.parent.parent / "function_app.py").read_text()
    routed = {
        (name, f"/{path}", method) for name, path, method in ROUTE.findall(source) if not name.startswith("dashboard")
    }
    assert routed == {(each.name, each.path, each.method) for each in api.ENDPOINTS}
    documented = {
        (operation["operationId"], path, method.upper())
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    assert documented == routed


def test_every_schema_is_there_and_used() -> None:
    used = {part["$ref"].rpartition("/")[2] for part in parts(DOCUMENT) if "$ref" in part}
    assert used == set(SCHEMAS)


def test_an_answer_has_the_fields_that_are_named_and_no_others() -> None:
    objects = [
        part
        for name in (*answers(), "Problem", "Operation", "Blob")
        for part in parts(SCHEMAS[name])
        if part.get("properties")
    ]
    objects = [each for each in objects if each.get("type") == "object"]
    assert len(objects) > 20
    assert {each["additionalProperties"] for each in objects} == {False}


def test_an_example_of_an_answer_has_all_its_fields() -> None:
    examples = [(schema, each) for schema in SCHEMAS.values() for each in schema.get("examples", ())]
    closed = [
        (schema, each)
        for schema, each in examples
        if schema.get("additionalProperties") is False and "required" in schema
    ]
    assert len(closed) >= 6
    for schema, example in closed:
        assert list(example) == list(schema["properties"]) == schema["required"]
    assert all(example.keys() <= schema["properties"].keys() for schema, example in examples)


def test_every_refusal_is_a_problem_but_those_of_the_host() -> None:
    responses = [
        (status, response)
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for status, response in operation["responses"].items()
    ]
    types = {(status, *response.get("content", {})) for status, response in responses}
    assert {each for each in types if each[0] < "300"} == {("200", "application/json"), ("202", "application/json")}
    # Health says what is wrong in its own words.
    refusals = {each for each in types if each[0] >= "300"} - {("503", "application/json")}
    assert ("401",) in refusals
    assert {each[1:] for each in refusals - {("401",)}} == {("application/problem+json",)}


@pytest.mark.parametrize(
    ("given", "required"),
    [({}, ["operationId", "database", "table"]), ({"database": "D"}, ["operationId", "table"])],
)
def test_a_message_may_leave_out_what_the_settings_give(given: dict[str, str], required: list[str]) -> None:
    described: Any = document(replace(SETTINGS, **given, allowed_ingest_uris=frozenset({OTHER})))  # type: ignore[arg-type]  # by their names
    message = described["components"]["schemas"]["OperationMessage"]
    assert message["required"] == required
    assert message["properties"]["cluster"]["enum"] == [CLUSTER, OTHER, "", None]


def test_callers_are_let_in_as_the_settings_say() -> None:
    by_login: Any = document(replace(SETTINGS, api_auth=ApiAuth.ENTRA))
    assert by_login["security"] == [{"entra": []}]
    assert [*by_login["components"]["securitySchemes"]] == ["entra"]
    refusal = by_login["paths"]["/operations"]["get"]["responses"]["401"]
    assert "application/problem+json" in refusal["content"]
    assert [next(iter(each)) for each in DOCUMENT["security"]] == [*DOCUMENT["components"]["securitySchemes"]]

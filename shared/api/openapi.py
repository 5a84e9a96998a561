"""The API's own description, OpenAPI 3.1: made of the endpoints, as they are read and answered.

What the host answers by itself has no body: 404 where no route fits, 401 without a key, 500 after a fault of the app.
"""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from shared.api.endpoint import Asked, Endpoint, Reply
from shared.api.operations import ADD, GET, LIST, LIST_BLOBS
from shared.api.overview import ERROR_CODES, HEALTH, SUMMARY
from shared.api.parameters import KEY, Parameter
from shared.api.redrives import REDRIVE_BLOBS, REDRIVE_MESSAGES
from shared.api.request import JSON, PROBLEM, Answer
from shared.api.schemas import schemas
from shared.endpoints import Endpoints
from shared.fields import Object
from shared.kusto.client import VERSION
from shared.model import Json
from shared.settings import ApiAuth, Settings


def _document(asked: Asked) -> Answer:
    return Answer(200, document(asked.backend.settings))


DOCUMENT = Endpoint(
    name="get_openapi",
    method="GET",
    path="/openapi.json",
    summary="This description",
    description="It says what this app takes, with its settings: which clusters, and what a message may leave out.",
    act=_document,
    replies={200: Reply("OpenAPI 3.1.", "OpenApi")},
    problems={400: "A parameter is not understood."},
    uses_storage=False,
)

ENDPOINTS = (
    ADD,
    LIST,
    GET,
    LIST_BLOBS,
    REDRIVE_BLOBS,
    REDRIVE_MESSAGES,
    SUMMARY,
    ERROR_CODES,
    HEALTH,
    DOCUMENT,
)

_PATH_PARAMETERS: dict[str, str] = {
    "operationId": "The operation's ID, percent-encoded.",
    "queue": "The queue whose poison queue it is about.",
}

_CACHE_CONTROL: Object = {
    "description": "What is true now.",
    "required": True,
    "schema": {"type": "string", "const": "no-store"},
}


def document(settings: Settings) -> Object:
    """The description of the API of an app with these settings."""
    own = schemas(
        Endpoints(settings.ingest_uri, settings.allowed_ingest_uris),
        has_database=bool(settings.database),
        has_table=bool(settings.table),
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ADX ingestion tracker",
            "version": VERSION,
            "description": "Is my load in? What failed, and why? Try these again.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/api"}],
        "security": _security(settings.api_auth),
        "paths": _paths(ENDPOINTS, settings.api_auth),
        "components": {
            "schemas": {**own, "OpenApi": {"type": "object", "required": ["openapi", "info", "paths"]}},
            "securitySchemes": _security_schemes(settings.api_auth),
        },
    }


def _paths(endpoints: Iterable[Endpoint], auth: ApiAuth) -> Object:
    paths: dict[str, Object] = {}
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, auth)
    return dict(paths)


def _operation(endpoint: Endpoint, auth: ApiAuth) -> Object:
    in_path: list[Json] = [
        {"name": name, "in": "path", "required": True, "description": description, "schema": {"type": "string"}}
        for name, description in _PATH_PARAMETERS.items()
        if f"{{{name}}}" in endpoint.path
    ]
    content: Object = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "parameters": in_path + _in_query(endpoint.parameters),
        "responses": _responses(endpoint, auth),
    }
    if endpoint.body:
        content["requestBody"] = {
            "description": endpoint.body.description,
            "required": endpoint.body.required,
            "content": {JSON: {"schema": _ref(endpoint.body.schema)}},
        }
    return content


def _in_query(parameters: Sequence[Parameter[Any]]) -> list[Json]:
    found: list[Json] = []
    for each in parameters:
        content: Object = {"name": each.name, "in": "query", "description": each.description, "schema": each.schema}
        if each.schema["type"] == "array":
            content |= {"style": "form", "explode": False}
        if each.example is not None:
            words: list[Json] = [*each.example.split(",")]
            content["example"] = words if each.schema["type"] == "array" else each.example
        found.append(content)
    return found


def _responses(endpoint: Endpoint, auth: ApiAuth) -> Object:
    replies = {status: _reply(each) for status, each in endpoint.replies.items()}
    refusals: dict[int, Object] = {status: _problem(text) for status, text in endpoint.problems.items()}
    if endpoint.uses_storage:
        refusals[HTTPStatus.SERVICE_UNAVAILABLE] = _problem("Storage could not be used; do it again.")
    refusals[HTTPStatus.UNAUTHORIZED] = (
        _problem("App Service authentication does not say who asks.")
        if auth is ApiAuth.ENTRA
        else {"description": "There is no function key, or none that opens this. The host answers it, without a body."}
    )
    found = {**refusals, **replies}
    return {str(int(status)): found[status] for status in sorted(found)}


def _reply(reply: Reply) -> Object:
    return {
        "description": reply.description,
        "headers": {"Cache-Control": _CACHE_CONTROL, **reply.headers},
        "content": {JSON: {"schema": _ref(reply.schema)}},
    }


def _problem(description: str) -> Object:
    return {
        "description": description,
        "headers": {"Cache-Control": _CACHE_CONTROL},
        "content": {PROBLEM: {"schema": _ref("Problem")}},
    }


def _ref(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


def _security(auth: ApiAuth) -> list[Json]:
    return [{"entra": []}] if auth is ApiAuth.ENTRA else [{"key": []}, {"keyInQuery": []}]


def _security_schemes(auth: ApiAuth) -> Object:
    if auth is ApiAuth.ENTRA:
        return {
            "entra": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of Microsoft Entra ID for the app's registration; or a browser's login.",
            }
        }
    return {
        "key": {"type": "apiKey", "in": "header", "name": "x-functions-key", "description": "A function key."},
        "keyInQuery": {
            "type": "apiKey",
            "in": "query",
            "name": KEY,
            "description": "The same, where a header can't be sent. URLs are seen by more than headers are.",
        },
    }

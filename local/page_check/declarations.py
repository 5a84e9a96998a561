"""Writes down for TypeScript what the dashboard rests on: what the API answers, and what index.html has.

`python -m local.page_check.declarations`, run by `./dev lock`, renews declarations.d.ts.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from local.processes import REPOSITORY
from shared.api.schemas import schemas
from shared.endpoints import Endpoints

FILE = Path("local/page_check/declarations.d.ts")
PAGE = Path("shared/dashboard/index.html")
HEAD = """\
// Renewed by `./dev lock`. Api is what the API answers, by shared/api/schemas.py; PageElements are the elements of
// shared/dashboard/index.html by their IDs.
"""
ANSWERS = (
    "BlobCounts",
    "Operation",
    "Operations",
    "OperationWithLineage",
    "Blob",
    "Blobs",
    "Summary",
    "ErrorCodes",
    "Health",
    "RedrivenBlobs",
    "Problem",
)
_SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_INDENT = "  "


def declarations(root: Path = REPOSITORY) -> str:
    """The text of declarations.d.ts.

    Args:
        root: The folder that the page lies in, as it does in the repository.

    Raises:
        ValueError: a schema is of a kind that is not known here.
    """
    known = schemas(Endpoints("https://ingest.example.kusto.windows.net"), has_database=False, has_table=False)
    answers = [f"{_INDENT}type {name} = {_type_of(known[name], _INDENT)};\n" for name in ANSWERS]
    ids = _Ids()
    ids.feed((root / PAGE).read_text())
    elements = [f'{_INDENT}"{name}": HTMLElementTagNameMap["{tag}"];\n' for name, tag in ids.found]
    return "".join(
        [HEAD, "\ndeclare namespace Api {\n", *answers, "}\n\ninterface PageElements {\n", *elements, "}\n"],
    )


def is_current(root: Path) -> bool:
    """Whether declarations.d.ts says what there is."""
    return (root / FILE).read_text() == declarations(root)


class _Ids(HTMLParser):
    """The IDs of a page with their elements' tags."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(value, tag) for name, value in attrs if name == "id" and value]


def _type_of(schema: Any, indent: str) -> str:  # noqa: ANN401, of JSON
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "oneOf" in schema:
        return " | ".join(_type_of(each, indent) for each in schema["oneOf"])
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(each) for each in schema.get("enum", [schema.get("const")]))
    kinds: Sequence[str] = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return " | ".join(_kind(kind, schema, indent) for kind in kinds)


def _kind(kind: str, schema: Mapping[str, Any], indent: str) -> str:
    if kind == "array":
        return f"Array<{_type_of(schema['items'], indent)}>"
    if kind == "object":
        return "".join(["{\n", *_properties(schema, indent + _INDENT), indent, "}"])
    if kind not in _SIMPLE:
        raise ValueError(f"a schema is of the type {kind!r}")
    return _SIMPLE[kind]


def _properties(schema: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, each in schema["properties"].items():
        if "description" in each:
            yield f"{indent}/** {each['description']} */\n"
        yield f"{indent}{name}{'' if name in schema['required'] else '?'}: {_type_of(each, indent)};\n"


if __name__ == "__main__":
    (REPOSITORY / FILE).write_text(declarations())

"""What schemathesis can't know by itself; it imports this as ``SCHEMATHESIS_HOOKS`` says.

``TRACKER_OPERATIONS`` and ``TRACKER_QUEUES`` are IDs and queues that there are, with commas between them.
"""

import os
import zlib
from typing import Any
from urllib.parse import quote

import schemathesis
from schemathesis import GenerationMode

_KNOWN = {
    "operationId": os.environ["TRACKER_OPERATIONS"].split(","),
    "queue": os.environ["TRACKER_QUEUES"].split(","),
}
_LONGEST_QUERY = 7_000
"""Bytes: a server takes 8 KiB for the first line of a request, and answers a longer one by itself, without a body."""


@schemathesis.hook
def filter_case(_: Any, case: Any) -> bool:  # noqa: ANN401, of schemathesis
    """Leave out what no server hands on to the app."""
    query = case.query or {}
    return sum(len(quote(str(each), safe="")) for each in query.values()) < _LONGEST_QUERY


@schemathesis.hook
def before_call(_: Any, case: Any, __: Any) -> None:  # noqa: ANN401, of schemathesis
    """Make of what fits the document what there is.

    Half of the paths are of something that exists. A continuation token is a text like any other, for JSON Schema, and
    good only if it was given out: one that was made up is refused, as it should be.
    """
    for name, value in (case.path_parameters or {}).items():
        chosen = zlib.crc32(str(value).encode("utf-8", "replace"))
        if chosen % 2:
            case.path_parameters[name] = _KNOWN[name][chosen // 2 % len(_KNOWN[name])]
    is_valid = case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE
    if is_valid and case.query:
        case.query.pop("continuationToken", None)

"""What Table Storage takes, as its documentation says, for rows that are not written in a test."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared.keys import LONGEST_KEY, utf16_length
from shared.store import tables

_FORBIDDEN_IN_KEYS = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_EARLIEST = datetime(1601, 1, 1, tzinfo=UTC)


def assert_storable(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as it would be sent, each of whose columns is one that a table takes."""
    sent = tables._storable(row)  # noqa: SLF001, what is written
    for name in ("PartitionKey", "RowKey"):
        assert utf16_length(sent[name]) <= LONGEST_KEY
        assert not _FORBIDDEN_IN_KEYS.search(sent[name])
    assert len(sent) <= 252
    for value in sent.values():
        assert isinstance(value, str | int | float | datetime)
        if isinstance(value, str):
            assert utf16_length(value) <= 32_768
            assert "\0" not in value
            value.encode()
        elif isinstance(value, datetime):
            assert value >= _EARLIEST
        elif isinstance(value, int):
            assert -(2**31) <= value < 2**31
    assert len(json.dumps(sent, default=str, ensure_ascii=False).encode("utf-16-le")) < 1024 * 1024
    return sent

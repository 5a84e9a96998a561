"""What an ingestion error code means, and what to do about it, for a person.

The codes, their categories and their permanence are those of ADX's documentation ("Ingestion error codes in Azure Data
Explorer"), and of codes met elsewhere: in its older editions, and in the Java SDK ``azure-kusto-java``. What is done
with a failed blob is decided by the ``failureStatus`` that it came with, never by this table.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from shared.model import FailureStatus


@dataclass(frozen=True, slots=True)
class Explanation:
    """An error code in plain words.

    Attributes:
        code: As ADX spells it.
        category: Of ADX's documentation, which also names its metric *Ingestion result* by it.
        failure_status: As documented: Permanent or Transient; Unknown where it is documented nowhere.
        description: What ADX says of it.
        summary: What has happened, in a sentence.
        advice: What to do, and who does it, in one to three sentences.
    """

    code: str
    category: str
    failure_status: FailureStatus
    description: str
    summary: str
    advice: str


def _read(text: str) -> Mapping[str, Explanation]:
    explanations = (
        Explanation(
            code=each["code"],
            category=each["category"],
            failure_status=FailureStatus(each["failureStatus"]),
            description=each["description"],
            summary=each["summary"],
            advice=each["advice"],
        )
        for each in json.loads(text)
    )
    return MappingProxyType({each.code: each for each in explanations})


EXPLANATIONS = _read(Path(__file__).with_name("error_codes.json").read_text(encoding="utf-8"))
"""Every code that is known, by its name, in the order of the alphabet."""


def explain(code: str) -> Explanation | None:
    """What is known of an error code; None if nothing is: ADX adds codes."""
    return EXPLANATIONS.get(code)

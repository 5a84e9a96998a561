"""Every known error code is explained, and nobody is told to do what is pointless."""

import csv
import json
import re
from pathlib import Path

import pytest

from shared.explanations import EXPLANATIONS, Explanation, explain
from shared.model import ALREADY_INGESTED, FailureStatus

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "tests" / "support" / "samples"

# The data is there, what failed is the submission itself, or the blob would fail the same way whatever is mended.
POINTLESS_TO_REDRIVE = {
    ALREADY_INGESTED,
    "BlobAlreadyReceived_BlobAlreadyFoundInBatch",
    "BlobAlreadyReceived_DuplicateEventGridNotification",
    "BadRequest_CorruptedMessage",
    "BadRequest_EmptyBlobUri",
    "BadRequest_EmptyDatabaseName",
    "BadRequest_FileTooLarge",
    "BadRequest_InvalidBlobUri",
    "BadRequest_InvalidOrEmptyTableName",
    "BadRequest_NonMultiDatabaseDataConnection",
    "Stream_InputStreamTooLarge",
}


def _rows(name: str) -> list[dict[str, str]]:
    with (SAMPLES / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_documented_code_is_explained_as_documented() -> None:
    documented = {
        (row["error_code"], row["category"], FailureStatus(row["permanence"])) for row in _rows("error_codes.csv")
    }
    assert len(documented) > 60
    assert documented <= {(each.code, each.category, each.failure_status) for each in EXPLANATIONS.values()}


def test_every_code_met_elsewhere_is_explained_and_no_other() -> None:
    extra = {row["error_code"]: FailureStatus(row["permanence"] or "Unknown") for row in _rows("error_codes_extra.csv")}
    assert {code: EXPLANATIONS[code].failure_status for code in extra} == extra
    assert EXPLANATIONS.keys() == extra.keys() | {row["error_code"] for row in _rows("error_codes.csv")}


@pytest.mark.parametrize("each", EXPLANATIONS.values(), ids=EXPLANATIONS)
def test_an_explanation_is_short_and_in_whole_sentences(each: Explanation) -> None:
    assert 20 <= len(each.summary) <= 120
    assert 40 <= len(each.advice) <= 260
    assert 5 <= len(each.description) <= 200
    assert re.fullmatch(r"[A-Z][^\n]*\.", each.summary)
    assert re.fullmatch(r"[A-Z][^\n]*\.", each.advice)
    assert re.search(r"\. [A-Z]", each.summary) is None, "one sentence"
    assert len(re.findall(r"[.:?!](?= [A-Z]|$)", each.advice)) <= 3


def test_no_text_is_doubled() -> None:
    assert len({each.advice for each in EXPLANATIONS.values()}) == len(EXPLANATIONS)
    assert len({each.summary for each in EXPLANATIONS.values()}) == len(EXPLANATIONS)


def test_nobody_is_told_to_redrive_what_is_pointless_and_everybody_else_is() -> None:
    told = {
        code
        for code, each in EXPLANATIONS.items()
        if re.search(r"redrive", re.sub(r"do not redrive|nothing to redrive", "", each.advice), re.IGNORECASE)
    }
    assert EXPLANATIONS.keys() - told == POINTLESS_TO_REDRIVE


def test_what_the_app_tries_again_by_itself_is_said_so_of_it_alone() -> None:
    for each in EXPLANATIONS.values():
        is_transient = each.failure_status is FailureStatus.TRANSIENT
        assert ("by itself" in each.advice or "the app asks ADX first" in each.advice) == is_transient, each.code


def test_the_file_is_in_order_so_that_a_change_to_it_is_small() -> None:
    codes = [each["code"] for each in json.loads((ROOT / "shared" / "error_codes.json").read_text(encoding="utf-8"))]
    assert codes == sorted(codes, key=str.lower)


def test_a_code_that_is_not_known_has_no_explanation() -> None:
    assert explain("Brand_NewCode") is None
    assert explain("") is None
    assert explain("Download_Forbidden") is EXPLANATIONS["Download_Forbidden"]

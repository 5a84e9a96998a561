"""The errors of the storage SDKs, made as the SDKs make them of an answer."""

from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, cast

from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableTransactionError


def refusal[E: HttpResponseError](kind: type[E], status: int, code: str, text: str) -> E:
    """An error of one request."""
    error = kind(message=f"{text}\nErrorCode:{code}", response=_answer(status))
    error.error_code = code  # type: ignore[attr-defined]  # the SDKs set it the same way
    return error


def transaction_refusal(index: int, status: int, code: str, text: str) -> TableTransactionError:
    """An error of one write of a transaction, whose place stands at the head of the message."""
    return refusal(TableTransactionError, status, code, f"{index}:{text}")


def _answer(status: int) -> Any:  # noqa: ANN401, what the SDKs read of an answer
    phrase = HTTPStatus(status).phrase
    return cast("Any", SimpleNamespace(status_code=status, reason=phrase, headers={}, text=lambda: ""))

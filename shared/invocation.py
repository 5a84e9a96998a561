"""What surrounds a run of a function: how its errors are told, and without what they may quote."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError

from shared import metrics
from shared.redaction import redacted_line
from shared.telemetry import event


class StorageFailed(Exception):
    """Tables or queues could not be used; what was under way is tried again, by the host or at the next tick."""


@contextmanager
def invocation(function: str) -> Iterator[None]:
    """One run of a function. Of an error the app tells by itself: alerts must not hang on how the host does."""
    try:
        with told_safely():
            yield
    except Exception as error:
        metrics.record(metrics.FUNCTIONS_FAILURES, function=function)
        event(
            "function.failed",
            f"{function} ended with {type(error).__name__}",
            level=logging.ERROR,
            function=function,
            error=redacted_line(error),
        )
        raise


@contextmanager
def told_safely() -> Iterator[None]:
    """Errors of the storage SDKs quote their URL, which may hold a SAS, and the host logs what it gets."""
    try:
        yield
    except AzureError as error:
        raise StorageFailed(f"{type(error).__name__}: {redacted_line(error.message or error)}") from None

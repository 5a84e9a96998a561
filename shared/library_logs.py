"""Log lines of the libraries: warnings alone, and none with what may be a secret, whatever level they are given later.

Their texts are not the app's: azure-identity quotes what an identity endpoint answered, urllib3 a header that it can't
read and, at level debug, the path of each request with the SAS that a connection string may hold.
"""

import logging
from typing import Any

from shared.redaction import redact

LIBRARIES = frozenset({"azure", "msal", "opentelemetry", "requests", "urllib3"})
_FORMATTER = logging.Formatter()


def tame() -> None:
    """Let the libraries' loggers be quiet, and redact each record of theirs before a handler sees it."""
    for name in LIBRARIES:
        # They tell of every request.
        logging.getLogger(name).setLevel(logging.WARNING)
    make = logging.getLogRecordFactory()
    if not isinstance(make, _RedactedRecords):
        logging.setLogRecordFactory(_RedactedRecords(make))


class _RedactedRecords:
    """Makes log records. A filter would not do: it sees the records of one logger, and not of those below it."""

    def __init__(self, make: Any) -> None:  # noqa: ANN401, whatever was the factory before
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401, passed on
        record: logging.LogRecord = self._make(*args, **kwargs)
        if (record.name or "").partition(".")[0] in LIBRARIES:
            _redact(record)
        return record


def _redact(record: logging.LogRecord) -> None:
    try:
        record.msg = redact(record.getMessage())
    except Exception as error:  # noqa: BLE001, as logging has it: a line that can't be written stops nobody
        record.msg = f"a line that can't be formatted ({type(error).__name__})"
    record.args = None
    if record.exc_info:
        record.exc_text = redact(_FORMATTER.formatException(record.exc_info))
        # Or a handler would write the traceback out of the exception itself.
        record.exc_info = None

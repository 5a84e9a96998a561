"""The log of the host and of its functions, as lines on standard error."""

import json
import logging
import sys
import time
from collections.abc import Mapping

import azure_functions_runtime as runtime

STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime"}
OWN = __name__.rpartition(".")[0]
# They report each request or each call at level info.
CHATTY = ("azure", "urllib3", "aiohttp", "asyncio")


class LineFormatter(logging.Formatter):
    """Writes `time level function message key=value …`."""

    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03dZ"
    default_time_format = "%Y-%m-%dT%H:%M:%S"

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._names = names

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, logging's own name
        """Returns the line without a traceback."""
        name = self._names.get(runtime.invocation_id_cv.get() or "")
        source = name or ("host" if record.name.startswith(OWN) else "-")
        facts = "".join(
            f" {key}={_shown(value)}"
            for key, value in vars(record).items()
            if key not in STANDARD and not _is_said(key, value, record.message)
        )
        return f"{record.asctime} {record.levelname} {source} {record.message}{facts}"


def set_up(level: str, names: Mapping[str, str]) -> None:
    """Sends every log to standard error.

    Args:
        level: debug, info, warning or error.
        names: The function of each running invocation.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(names))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def _is_said(key: str, value: object, message: str) -> bool:
    """Whether the message itself tells the fact: the app's own lines do, and name their event first."""
    return f"{key}={value}" in message or (key == "event" and message.startswith(f"{value}:"))


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c.isspace() or c == '"' for c in text) else text

"""Why a blob was not ingested, in the words of ADX."""

from dataclasses import dataclass

PERMANENT = "Permanent"
TRANSIENT = "Transient"
ALREADY_INGESTED = "Skipped_IngestByTagAlreadyExists"


@dataclass(frozen=True, slots=True)
class Failure:
    """A blob's failure as the status endpoint tells it.

    Attributes:
        code: `errorCode`.
        status: `failureStatus`.
        details: The free text.
    """

    code: str
    status: str
    details: str


class BlobRefused(Exception):
    """A blob can't be ingested.

    Attributes:
        failure: Why.
    """

    def __init__(self, code: str, details: str, *, status: str = PERMANENT) -> None:
        super().__init__(f"{code}: {details}")
        self.failure = Failure(code, status, details)


def already_ingested(tag: str) -> Failure:
    """Returns the failure of a blob whose `ingestIfNotExists` matched.

    Args:
        tag: The tag that the table holds already.
    """
    return Failure(ALREADY_INGESTED, PERMANENT, f"The table already holds data with the tag 'ingest-by:{tag}'")

"""Reading what a person asks to have redriven: the operation's message again, and who asks."""

from shared.fields import Fields, MessageRefused, Object
from shared.messages import Defaults, operation_message
from shared.model import GIVEN_UP_AS
from shared.redaction import redact
from shared.redrive import BlobsRequest

LONGEST_NAME = 100
"""Characters of who asks."""

_OF_BLOBS = (
    *("operationId", "database", "table", "cluster", "properties", "blobs", "correlationId"),
    *("attempt", "rootOperationId", "parentOperationId", "only"),
)
_OF_MESSAGES = ("most",)
# A restriction that is misspelt must not be none.
_MISTAKES = {"blob": "blobs", "url": "blobs", "urls": "blobs", "sourceid": "blobs", "max": "most"}

_NAMES = {name.lower(): str(name) for name in GIVEN_UP_AS}


def read_blobs_request(operation_id: str, content: Object, by: str, defaults: Defaults) -> BlobsRequest:
    """Read what blobs a person wants redriven.

    Args:
        operation_id: Of the operation; an ``operationId`` in the content goes before it, as a path can't hold any ID.
        content: The operation's message without what ``defaults`` says, and ``only``: a list of ``GIVEN_UP_AS``.
        by: Who asks.
        defaults: What the message means where it doesn't say.

    Raises:
        MessageRefused: a field is missing or wrong.
    """
    _check_spelling(content, _OF_BLOBS)
    if [] in (content.get("blobs"), content.get("only")):
        raise MessageRefused("an empty list names nothing; leave the field out for all")
    fields = Fields({"operationId": operation_id, **content})
    only = _only(fields.texts("only"))
    return BlobsRequest(message=operation_message(fields, defaults), by=by, only=only)


def read_most(content: Object) -> int | None:
    """How many messages a person wants redriven at the most, None for all.

    Raises:
        MessageRefused: a field is wrong, or not known.
    """
    _check_spelling(content, _OF_MESSAGES)
    unknown = content.keys() - set(_OF_MESSAGES)
    if unknown:
        raise MessageRefused(f"a redrive of messages takes 'most' and 'as', not '{min(unknown)}'")
    most = Fields(content).number("most")
    if most == 0:
        raise MessageRefused("'most' is 1 at the least")
    return most


def _check_spelling(content: Object, known: tuple[str, ...]) -> None:
    meant = {name.lower(): name for name in known} | {
        wrong: right for wrong, right in _MISTAKES.items() if right in known
    }
    for name in content:
        right = meant.get(name.lower(), name)
        if right != name:
            raise MessageRefused(f"'{name}' is no field of a redrive; '{right}' is")


def name_of(text: str) -> str:
    """Who asks, as it is written down.

    Raises:
        MessageRefused: it is empty or too long.
    """
    name = " ".join(redact(text).split())
    if not name or len(name) > LONGEST_NAME:
        raise MessageRefused(f"who asks is to be named in 1 to {LONGEST_NAME} characters")
    return name


def _only(names: list[str]) -> frozenset[str]:
    unknown = [name for name in names if name.lower() not in _NAMES]
    if unknown:
        raise MessageRefused(f"'only' takes {', '.join(_NAMES.values())}")
    return frozenset(_NAMES[name.lower()] for name in names)

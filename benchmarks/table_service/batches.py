"""Entity group transactions: a multipart body that holds one change set, each of whose parts is a request.

https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions
"""

import re
import uuid
from collections.abc import Iterator, Sequence

from benchmarks.table_service.refusal import Refused
from benchmarks.table_service.requests import Answer, Request, read_head, read_headers

_BOUNDARY = re.compile(r"""boundary="?([^";]+)"?""")


def read_change_set(request: Request) -> list[Request]:
    """The requests of a batch's change set, in order.

    Raises:
        Refused: it is no batch of one change set.
    """
    parts = list(_parts(request.headers.get("content-type", ""), request.body))
    if len(parts) != 1:
        raise _invalid("A batch has one change set.")
    (headers, body), *_ = parts
    return [_request(part) for _, part in _parts(headers.get("content-type", ""), body)]


def batch_answer(answers: Sequence[Answer]) -> Answer:
    """The answers of a change set as one; a refused one stands alone."""
    batch, changes = f"batchresponse_{uuid.uuid4()}", f"changesetresponse_{uuid.uuid4()}"
    lines = [f"--{batch}", f"Content-Type: multipart/mixed; boundary={changes}", ""]
    for answer in answers:
        lines += [f"--{changes}", "Content-Type: application/http", "Content-Transfer-Encoding: binary", ""]
        lines.append(answer.wire(has_length=False).decode())
    lines += [f"--{changes}--", f"--{batch}--", ""]
    return Answer(202, "\r\n".join(lines), {"Content-Type": f"multipart/mixed; boundary={batch}"})


def _parts(content_type: str, body: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """The headers and the content of each part of a multipart body."""
    found = _BOUNDARY.search(content_type)
    if not content_type.startswith("multipart/mixed") or found is None:
        raise _invalid("Content-Type is to be multipart/mixed with a boundary.")
    boundary = b"\r\n--" + found[1].encode("latin-1")
    # What precedes the first boundary, and what follows the last, is no part.
    _, *parts = (b"\r\n" + body).split(boundary)
    if not parts or not parts.pop().startswith(b"--"):
        raise _invalid("The last boundary is missing.")
    for part in parts:
        # The boundary's own line ends first; a part without headers begins with an empty line.
        head, _, content = part.partition(b"\r\n\r\n")
        yield read_headers(head.decode("latin-1").split("\r\n")), content


def _request(part: bytes) -> Request:
    head, _, body = part.partition(b"\r\n\r\n")
    try:
        request = read_head(head)
    except ValueError:
        raise _invalid("A part of the change set is no request.") from None
    length = request.headers.get("content-length")
    return Request(request.method, request.target, request.headers, body if length is None else body[: int(length)])


def _invalid(text: str) -> Refused:
    return Refused(400, "InvalidInput", text)

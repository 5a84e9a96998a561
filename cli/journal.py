"""What was submitted, a line of JSON each, written down before and after: so that nothing is submitted twice.

A blob is named by its URL without what may be a secret. Lines: what a journal is of; ``submitting`` before a request
goes out; ``accepted`` or ``refused`` once its answer is there; ``posted`` once the tracker has the message. A request
without an answer is one of which nobody knows whether ADX took it.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from cli.errors import Refused
from shared.model import Json

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

VERSION = 1


@dataclass(frozen=True, slots=True)
class Request:
    """Blobs that are submitted together: bare URL and ``sourceId`` of each. ``operation_id`` once ADX has given it."""

    number: int
    blobs: tuple[tuple[str, str], ...]
    operation_id: str | None = None


@dataclass
class Journal:
    """The journal of one submission, which may come to its end in several runs."""

    file: IO[bytes]
    path: Path
    target: Json
    open: dict[int, Request] = field(default_factory=dict)
    accepted: dict[int, Request] = field(default_factory=dict)
    posted: set[int] = field(default_factory=set)
    requests: int = 0

    @classmethod
    def begin(cls, path: Path, target: Json) -> Self:
        """The journal in a file: a new one, or the one that is there.

        Args:
            path: The file.
            target: What is submitted to, and how: the whole submission's.

        Raises:
            Refused: the file can't be written, is no journal, one of another submission, or of one that is going on.
        """
        try:
            # Whatever the mask says: names of data are nobody else's business.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Refused(f"{path} can't be written: {error.strerror}") from None
        journal = cls(os.fdopen(descriptor, "r+b"), path, target)
        try:
            journal._lock()
            journal._read()
        except Refused:
            journal.close()
            raise
        return journal

    def _lock(self) -> None:
        """Keep others out until the file is closed, or the process has ended in whatever way."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"{self.path} is the journal of a submission that is going on") from None
        except OSError:
            # A file system without locks.
            return

    def _read(self) -> None:
        # A line without its end was cut short as it was written: its request had not gone out, or its end is not known.
        whole, _, _ = self.file.read().rpartition(b"\n")
        lines = whole.splitlines()
        self.file.seek(len(whole) + 1 if whole else 0)
        self.file.truncate()
        try:
            entries = [json.loads(line) for line in lines]
            head = entries[0] if entries else None
            known = head is None or head["version"] == VERSION
            for entry in entries[1:]:
                self._replay(entry)
        except (ValueError, KeyError, TypeError, AttributeError):
            known = False
        if not known:
            raise Refused(f"{self.path} is no journal of a submission")
        if head is None:
            self._write({"version": VERSION, "target": self.target})
        elif head["target"] != self.target:
            raise Refused(
                f"{self.path} is the journal of another submission: to another table, or with other properties"
            )

    def _replay(self, entry: dict[str, Any]) -> None:
        if "submitting" in entry:
            blobs = tuple((blob["url"], blob["sourceId"]) for blob in entry["blobs"])
            request = Request(entry["submitting"], blobs)
            self.open[request.number] = request
            self.requests = max(self.requests, request.number)
        elif "accepted" in entry:
            request = self.open.pop(entry["accepted"])
            self.accepted[request.number] = Request(request.number, request.blobs, entry["operationId"])
        elif "refused" in entry:
            self.open.pop(entry["refused"])
        else:
            self.posted.add(entry["posted"])

    @property
    def told(self) -> list[Request]:
        """What ADX has taken, and the tracker is told of."""
        return [request for number, request in self.accepted.items() if number in self.posted]

    @property
    def unposted(self) -> list[Request]:
        """What ADX has taken, and the tracker is not told of yet."""
        return [
            request for number, request in self.accepted.items() if number not in self.posted and request.operation_id
        ]

    def urls_untracked(self) -> set[str]:
        """Those of what ADX has taken without an ID that it could be watched by."""
        return _urls(request for request in self.accepted.values() if not request.operation_id)

    def urls_accepted(self) -> set[str]:
        """The bare URLs of what ADX has taken."""
        return _urls(self.accepted.values())

    def urls_unknown(self) -> set[str]:
        """Those of which it is not known whether ADX has taken them."""
        return _urls(self.open.values())

    def submitting(self, blobs: Sequence[tuple[str, str]]) -> Request:
        """A request is about to go out."""
        self.requests += 1
        request = Request(self.requests, tuple(blobs))
        self._write(
            {
                "submitting": request.number,
                "blobs": [{"url": url, "sourceId": source_id} for url, source_id in blobs],
            }
        )
        self.open[request.number] = request
        return request

    def accept(self, request: Request, operation_id: str | None) -> Request:
        """ADX has taken it."""
        self._write({"accepted": request.number, "operationId": operation_id})
        del self.open[request.number]
        accepted = self.accepted[request.number] = Request(request.number, request.blobs, operation_id)
        return accepted

    def refuse(self, request: Request) -> None:
        """ADX has not taken it."""
        self._write({"refused": request.number})
        del self.open[request.number]

    def post(self, request: Request) -> None:
        """The tracker has its message."""
        self._write({"posted": request.number})
        self.posted.add(request.number)

    def forget_unknown(self) -> None:
        """Let what nobody knows of be submitted again."""
        for request in list(self.open.values()):
            self.refuse(request)

    def close(self, *, remove: bool = False) -> None:
        """Close the file; a journal that nobody needs any more is removed."""
        self.file.close()
        if remove:
            self.path.unlink(missing_ok=True)

    def _write(self, entry: Json) -> None:
        self.file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())


def _urls(requests: Iterable[Request]) -> set[str]:
    return {url for request in requests for url, _ in request.blobs}

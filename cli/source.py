"""What the commands ask of the tracker, wherever it is asked: the HTTP API, or its storage."""

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

from cli.facts import BlobFacts, Named, OperationFacts, OperationInFull, OperationsPage, Redriven, Wanted
from shared.model import Json

MOST_OPERATIONS = 100
"""In one page."""


class Source(Protocol):
    """The tracker. Every call may raise ``errors.Refused`` or ``errors.Unreachable``."""

    @property
    def place(self) -> str:
        """What is asked, for people: without a secret."""

    def page(self, wanted: Wanted, most: int, after: str | None = None) -> OperationsPage:
        """At most ``most`` operations, newest first; there may be fewer, even none, and more to follow."""

    def operation(self, named: Named) -> OperationInFull:
        """One operation and its lineage.

        Raises:
            UnknownOperation: there is none.
        """

    def blobs(
        self, operation: Named, *, statuses: Collection[str] = (), retry_states: Collection[str] = ()
    ) -> Iterator[BlobFacts]:
        """Its blobs, all or those of some statuses and retry states, one by one."""

    def check(self, message: Mapping[str, Json]) -> None:
        """Refuse a message that would be refused when it is posted, as far as that can be told before."""

    def track(self, message: Mapping[str, Json]) -> Named:
        """Post a message of the queue's contract; returns what operation it names."""

    def redrive_blobs(self, named: Named, content: Mapping[str, Json], by: str) -> Redriven:
        """Have an operation's given-up blobs tried again."""

    def redrive_messages(self, queue: str, by: str, most: int | None) -> Redriven:
        """Have the messages of a poison queue handled again."""


def each_operation(source: Source, wanted: Wanted, most: int | None = None) -> Iterator[OperationFacts]:
    """The operations, newest first, page by page; at most so many."""
    left, after = most, None
    while left is None or left > 0:
        page = source.page(wanted, min(left or MOST_OPERATIONS, MOST_OPERATIONS), after)
        yield from page.operations
        left = None if left is None else left - len(page.operations)
        after = page.continuation_token
        if after is None:
            return

"""Looking at operations and what they were submitted again as, again and again."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from cli.errors import UnknownOperation
from cli.facts import BlobFacts, Named
from cli.source import Source
from cli.verdict import UNKNOWN, Part, Standing, standing_of
from shared.model import BlobStatus

_THREADS = 8
_NOT_LOADED = tuple(status for status in BlobStatus if status is not BlobStatus.SUCCEEDED)


class Follower:
    """Looks at some operations; one that has settled is not looked at again."""

    def __init__(self, source: Source, operations: Sequence[Named], *, follows: bool) -> None:
        self._source = source
        self._follows = follows
        self.standings: dict[Named, Standing] = dict.fromkeys(operations, UNKNOWN)

    @property
    def has_settled(self) -> bool:
        """Whether all of them have."""
        return all(standing.has_settled for standing in self.standings.values())

    def look(self) -> list[tuple[Named, Standing]]:
        """Look at those that have not settled; returns which of them have changed."""
        waiting = [name for name, standing in self.standings.items() if not standing.has_settled]
        with ThreadPoolExecutor(_THREADS, "look") as executor:
            seen = zip(waiting, executor.map(self._standing, waiting), strict=True)
            changed = [(name, standing) for name, standing in seen if standing != self.standings[name]]
        self.standings |= dict(changed)
        return changed

    def _standing(self, name: Named) -> Standing:
        return standing_of(self._parts(name), follows=self._follows)

    def _parts(self, name: Named) -> Iterator[Part]:
        """The operation and its resubmissions; nothing where it is not known yet."""
        waiting, seen = [name], {name.operation_id}
        while waiting:
            part = self._part(waiting.pop())
            if part is None:
                continue
            yield part
            new = part.resubmissions - seen if self._follows else ()
            seen |= set(new)
            waiting += [
                Named(each, part.operation.cluster, part.operation.database, part.operation.table)
                for each in sorted(new)
            ]

    def _part(self, name: Named) -> Part | None:
        try:
            operation = self._source.operation(name)
        except UnknownOperation:
            return None
        failed = tuple(failed_blobs(self._source, operation.name)) if operation.blobs.failed else ()
        return Part(operation, failed)


def failed_blobs(source: Source, name: Named) -> Iterator[BlobFacts]:
    """The operation's blobs that failed, and whose data is not known to be there."""
    # What ADX tries again by itself has another status by then, and is counted as failed by its operation all the same.
    return (blob for blob in source.blobs(name, statuses=_NOT_LOADED) if blob.has_failed)

"""What has failed, by error code: collected from operations and their blobs."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cli.facts import BlobFacts, OperationFacts

_MOST_EXAMPLES = 3


@dataclass
class Failure:
    """The blobs that failed with one code, and are not tried again."""

    error_code: str | None
    failure_statuses: set[str] = field(default_factory=set)
    blobs: int = 0
    operations: list[OperationFacts] = field(default_factory=list)
    examples: list[tuple[OperationFacts, BlobFacts]] = field(default_factory=list)

    def add(self, operation: OperationFacts, blob: BlobFacts) -> None:
        """One more."""
        self.blobs += 1
        if blob.failure_status:
            self.failure_statuses.add(blob.failure_status)
        if not self.operations or self.operations[-1] != operation:
            self.operations.append(operation)
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append((operation, blob))

    @property
    def tables(self) -> list[str]:
        """Which tables they were for."""
        return sorted({f"{each.database}.{each.table}" for each in self.operations})


def by_code(failed: Iterable[tuple[OperationFacts, BlobFacts]]) -> list[Failure]:
    """The failures, most blobs first; those of one operation stand together in what comes."""
    found: dict[str | None, Failure] = {}
    for operation, blob in failed:
        found.setdefault(blob.error_code, Failure(blob.error_code)).add(operation, blob)
    return sorted(found.values(), key=lambda each: (-each.blobs, each.error_code or ""))

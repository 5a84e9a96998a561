"""What upstream's blobs are bound to meet. A blob's name begins with its fate, by which ADX is told what to do."""

from collections.abc import Sequence
from dataclasses import dataclass

from local.adx_simulator import BlobFault
from local.adx_simulator.faults import BlobFaultKind
from local.soak.plan import MAX_ATTEMPTS, MENDING_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What a blob is bound to meet.

    Attributes:
        name: Its name.
        share: How many of a hundred blobs, about.
        faults: What ADX does with it instead of ingesting it, each for the first so many submissions; for all if None.
        is_broken: A record of it has a field too few.
        is_missing: It is submitted without being there.
        loads: Whether its rows are in ADX in the end, if every Transient failure is tried again.
    """

    name: str
    share: int
    faults: tuple[tuple[BlobFaultKind, int | None], ...] = ()
    is_broken: bool = False
    is_missing: bool = False
    loads: bool = False

    @property
    def loads_untried(self) -> bool:
        """Whether its rows are in ADX in the end if nothing is tried again."""
        return self.loads and not any(kind == "transient" for kind, _ in self.faults)


FATES = (
    Fate(name="good", share=48, loads=True),
    Fate(name="flaky-once", share=14, faults=(("transient", 1),), loads=True),
    Fate(name="flaky-twice", share=7, faults=(("transient", 2),), loads=True),
    Fate(name="flaky-to-the-last", share=3, faults=(("transient", MAX_ATTEMPTS - 1),), loads=True),
    Fate(name="refused", share=3, faults=(("transient", None),)),
    Fate(name="mending", share=7, faults=(("mending", 1),), loads=True),
    Fate(name="flaky-then-permanent", share=2, faults=(("transient", 1), ("permanent", None))),
    Fate(name="flaky-then-exhausted", share=2, faults=(("transient", 2), ("exhausted", None))),
    Fate(name="permanent", share=2, faults=(("permanent", None),)),
    Fate(name="exhausted", share=2, faults=(("exhausted", None),)),
    Fate(name="unknown", share=2, faults=(("unknown", None),)),
    Fate(name="canceled", share=2, faults=(("canceled", None),)),
    Fate(name="already-ingested", share=2, faults=(("already-ingested", None),)),
    Fate(name="broken", share=2, is_broken=True),
    Fate(name="missing", share=2, is_missing=True),
)


def blob_faults(fates: Sequence[Fate] = FATES) -> list[BlobFault]:
    """Returns what ADX is told to do with the blobs of each fate.

    Args:
        fates: The fates.
    """
    return [
        BlobFault(kind=kind, url_contains=f"/{fate.name}.", submissions=submissions, seconds=MENDING_SECONDS)
        for fate in fates
        for kind, submissions in fate.faults
    ]

"""What goes in, file by file, and what is bound to become of each: most load, some are spoilt on purpose."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from local.adx_simulator import BlobFault, RequestFault
from local.adx_simulator.faults import BlobFaultKind, Fault
from local.demo.data import DATA_SETS, DataSet, Part, split

EVERY_THIRD = 3
MENDING_SECONDS = 1.9
"""How long a failure shows that ADX mends: less than the least delay of a retry, as it should be."""


class Fate(StrEnum):
    """What is bound to happen to a file, in the words of the summary."""

    GOOD = "are good"
    FLAKY = "are throttled by ADX once or twice, and load then"
    MENDING = "fail in ADX for a moment, which mends them itself"
    BROKEN = "are broken: a field or a quote missing, cut short, empty"
    MISSING = "are submitted without being there"
    REFUSED = "are good and never taken by ADX"


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to a file on purpose.

    Attributes:
        fate: What that leads to.
        error_code: The code that ADX fails it with in the end; none if it loads.
        spoil: Makes of the file's bytes those that are uploaded; None is no file at all.
        fault: What ADX does with it instead of loading it.
        times: To so many of its submissions; to all if None.
    """

    fate: Fate
    error_code: str | None = None
    spoil: Callable[[bytes], bytes | None] = lambda content: content
    fault: BlobFaultKind | None = None
    times: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file that is submitted.

    Attributes:
        data_set: Where it comes from.
        name: The blob's name.
        rows: How many records were put in.
        content: What is uploaded; None if it is submitted without being there.
        treatment: What is done to it.
    """

    data_set: DataSet
    name: str
    rows: int
    content: bytes | None = field(repr=False)
    treatment: Treatment

    @property
    def path(self) -> str:
        """Its container and name, as at the end of its URL."""
        return f"{self.data_set.container}/{self.name}"

    @property
    def loads(self) -> bool:
        """Whether its rows are bound to be in ADX in the end."""
        return self.treatment.error_code is None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that goes in.

    Attributes:
        files: The files.
    """

    files: tuple[PlannedFile, ...]

    @property
    def missing(self) -> tuple[PlannedFile, ...]:
        """The files that are submitted without being there."""
        return tuple(file for file in self.files if file.content is None)

    def of(self, data_set: DataSet) -> tuple[PlannedFile, ...]:
        """Returns the files of a data set.

        Args:
            data_set: Which one.
        """
        return tuple(file for file in self.files if file.data_set == data_set)

    def expected_rows(self, table: str) -> int:
        """Returns how many rows a table is bound to hold.

        Args:
            table: Its name.
        """
        return sum(file.rows for file in self.files if file.data_set.table == table and file.loads)

    def blob_faults(self) -> list[Fault]:
        """Returns what ADX is told to do with some of the files."""
        return [
            BlobFault(
                kind=file.treatment.fault,
                url_contains=file.path,
                submissions=file.treatment.times,
                seconds=MENDING_SECONDS,
            )
            for file in self.files
            if file.treatment.fault
        ]


REQUEST_FAULTS: tuple[Fault, ...] = (
    RequestFault(effect="error", request="status", status=429, retry_after="2", times=2),
    RequestFault(effect="error", request="status", status=503, times=3),
    RequestFault(effect="html", request="status", times=2),
    RequestFault(effect="error", request="submit", status=429, retry_after="1", times=1),
)
"""What goes wrong with requests once upstream has made its own: the sample job does not try again."""


def _one_field_short(content: bytes) -> bytes:
    return content.rpartition(b",")[0] + b"\n"


def _quote_left_open(content: bytes) -> bytes:
    return content.replace(b"\n", b'\n"', 1)


def _cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _emptied(_: bytes) -> bytes:
    return b""


def _gone(_: bytes) -> None:
    return None


GOOD = Treatment(Fate.GOOD)
ONCE = Treatment(Fate.FLAKY, fault="transient", times=1)
MENDING = Treatment(Fate.MENDING, fault="mending", times=1)
TWICE = Treatment(Fate.FLAKY, fault="transient", times=2)
GONE = Treatment(Fate.MISSING, "Download_SourceNotFound", _gone)
TREATMENTS = {
    "airports-004.csv": ONCE,
    "airports-011.csv": Treatment(Fate.BROKEN, "Stream_WrongNumberOfFields", _one_field_short),
    "airports-017.csv": TWICE,
    # It fails every time, so in the end the attempts are used up.
    "airports-023.csv": Treatment(Fate.REFUSED, "General_ThrottledIngestion", fault="transient"),
    "airports-028.csv": MENDING,
    "airports-031.csv": MENDING,
    "airports-038.csv": GONE,
    "airports-039.csv": GONE,
    "airports-040.csv": GONE,
    "seattletemps-007.csv": Treatment(Fate.BROKEN, "Stream_ClosingQuoteMissing", _quote_left_open),
    "seattletemps-020.csv": ONCE,
    "seattletemps-033.csv": ONCE,
    "sanfrantemps-012.csv": Treatment(Fate.BROKEN, "BadRequest_InvalidBlob", _cut_short),
    "sanfrantemps-029.csv": TWICE,
    "cars-005.json": ONCE,
    "cars-008.json": Treatment(Fate.BROKEN, "BadRequest_UnexpectedCharacterInInputStream", _cut_short),
    "weather-009.csv": Treatment(Fate.REFUSED, "General_RetryAttemptsExceeded", fault="exhausted"),
    "weather-014.csv": ONCE,
    "weather-017.csv": MENDING,
    "stocks-006.csv": Treatment(Fate.BROKEN, "BadRequest_EmptyBlob", _emptied),
    "stocks-013.csv": TWICE,
    "iris-002.json": ONCE,
    "iris-010.json": Treatment(Fate.REFUSED, "Unknown", fault="unknown"),
    "barley-003.json": ONCE,
}


REFUSED = tuple(name for name, treatment in TREATMENTS.items() if treatment.fate is Fate.REFUSED)
"""The files that load once ADX takes them."""


def make_plan(data_sets: Sequence[DataSet] = DATA_SETS) -> Plan:
    """Returns all files, with what is done to some.

    Args:
        data_sets: What is split into them.
    """
    return Plan(
        tuple(
            _planned(data_set, number, part)
            for data_set in data_sets
            for number, part in enumerate(split(data_set), start=1)
        )
    )


def _planned(data_set: DataSet, number: int, part: Part) -> PlannedFile:
    name, content = data_set.name(number), part.content
    treatment = TREATMENTS.get(name, GOOD)
    if number % EVERY_THIRD == 0:
        name, content = f"{name}.gz", gzip.compress(content, mtime=0)
    return PlannedFile(data_set, name, part.rows, treatment.spoil(content), treatment)

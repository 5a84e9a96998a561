"""Real data sets, which the package vega-datasets brings as files, and how they are split. No network is used."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class DataSet:
    """A file of the package, and where it goes.

    Attributes:
        source: The file's name.
        table: The table that it goes to.
        format: The format of its parts: csv, json (a record a line) or multijson (an array of records).
        parts: How many files it is split into.
    """

    source: str
    table: str
    format: str
    parts: int

    @property
    def container(self) -> str:
        """The blob container of its parts."""
        return self.table.lower()

    def name(self, number: int) -> str:
        """Returns the name of a part, without what tells that it is compressed.

        Args:
            number: Which part, from 1.
        """
        return f"{self.container}-{number:03}.{'csv' if self.format == 'csv' else 'json'}"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a data set.

    Attributes:
        content: What is in the file.
        rows: How many records that are.
    """

    content: bytes
    rows: int


DATA_SETS = (
    DataSet("airports.csv", "Airports", "csv", 40),
    DataSet("seattle-temps.csv", "SeattleTemps", "csv", 38),
    DataSet("sf-temps.csv", "SanFranTemps", "csv", 38),
    DataSet("cars.json", "Cars", "multijson", 20),
    DataSet("seattle-weather.csv", "Weather", "csv", 20),
    DataSet("stocks.csv", "Stocks", "csv", 20),
    DataSet("iris.json", "Iris", "json", 14),
    DataSet("barley.json", "Barley", "json", 10),
)


def split(data_set: DataSet) -> list[Part]:
    """Returns the parts of a data set; every record is in exactly one.

    Args:
        data_set: Which one.
    """
    text = (_folder() / data_set.source).read_text(encoding="utf-8")
    if data_set.format == "csv":
        header, *records = csv.reader(io.StringIO(text, newline=""))
        return [Part(_csv([header, *group]), len(group)) for group in _groups(records, data_set.parts)]
    write = _lines if data_set.format == "json" else _array
    return [Part(write(group), len(group)) for group in _groups(json.loads(text), data_set.parts)]


def _folder() -> Path:
    # Found and not imported: that would import pandas, which takes seconds.
    spec = find_spec("vega_datasets")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package vega-datasets is not installed")
    return Path(spec.origin).parent / "_data"


def _groups[T](records: Sequence[T], number: int) -> Iterator[Sequence[T]]:
    """Yields `number` groups of nearly the same size, in order."""
    bounds = [len(records) * place // number for place in range(number + 1)]
    for first, end in pairwise(bounds):
        yield records[first:end]


def _csv(records: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(records)
    return text.getvalue().encode()


def _lines(records: Sequence[Any]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def _array(records: Sequence[Any]) -> bytes:
    return json.dumps(records, indent=1).encode()

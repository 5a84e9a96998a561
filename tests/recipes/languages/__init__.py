"""Has Power Query and adaptive cards checked by what Microsoft publishes for them."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import npm_packages

HERE = Path(__file__).resolve().parent
_PROGRAM = Path("node_modules/adaptivecards/dist/adaptivecards.js")
_SECONDS = 100.0


@dataclass(frozen=True)
class Said:
    """What is wrong: of each query, if anything is, and of each card."""

    queries: list[str | None]
    cards: list[list[str]]


def installed() -> Path:
    """The folder of both packages, which are there from then on."""
    return npm_packages.ensure_installed("recipe-languages", HERE, _PROGRAM).parents[2]


def checked(queries: Sequence[str] = (), cards: Sequence[Mapping[str, Any]] = ()) -> Said:
    """Have queries in Power Query's language parsed, and cards read."""
    answer = subprocess.run(
        [npm_packages.NODE, HERE / "check.cjs", installed()],
        input=json.dumps({"queries": queries, "cards": cards}),
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS,
    )
    return Said(**json.loads(answer.stdout))

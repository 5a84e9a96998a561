"""Runs the benchmarks named, or all of them, and writes benchmarks/results.md: a section each, the others are kept."""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from benchmarks import aims

BENCHMARKS = (
    "clients",
    "polling",
    "registration",
    "peers",
    "bulk",
    "fanout",
    "scale",
    "freshness",
    "memory",
    "outstanding_layout",
)
"""In the order of the sections: modules of this package, each with a function ``measure`` that returns its section."""

RESULTS = Path(__file__).with_name("results.md")

# What this writes is no change of what is measured.
_OWN = (":(exclude)results.md", ":(exclude)plots")

_HEAD = """\
# Results

Written by `./dev bench`; `./dev bench NAME` renews one section. Each begins with the machine that it was measured on
and how long that took. Read ratios and counts: other machines differ. A **floor** is the least that such work takes,
measured beside it. What follows from the figures is in docs/performance.md, docs/watching.md and docs/scale.md.
"""
_SECTION = re.compile(r"^## (\w+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    commit, changes = (
        subprocess.run([git, *command], cwd=RESULTS.parent, capture_output=True, text=True, check=False).stdout.strip()
        for command in (["rev-parse", "--short=10", "HEAD"], ["status", "--porcelain", "--", ":/", *_OWN])
    )
    return (commit or "unknown") + (" and changes since" if changes else "")


def _circumstances(seconds: float) -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {_commit()}, {os.cpu_count()} cores, "
        f"{platform.machine()}, Python {platform.python_version()}; measured in {seconds:.0f} s."
    )


def _sections() -> dict[str, str]:
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    return {name: body.strip() for name, body in _SECTION.findall(text)}


def _written(sections: Mapping[str, str]) -> str:
    in_order = {name: sections[name] for name in BENCHMARKS if name in sections}
    parts = (_HEAD, aims.summary(in_order), *(f"## {name}\n\n{text}" for name, text in in_order.items()))
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _measure(names: list[str]) -> list[str]:
    """Measure and write down one after the other; returns those that have failed, whose sections stay as they were."""
    failed: list[str] = []
    for number, name in enumerate(names, 1):
        print(f"== {name}, {number} of {len(names)}", flush=True)
        began = time.monotonic()
        try:
            section = import_module(f"benchmarks.{name}").measure().strip()
        except Exception:  # noqa: BLE001  # the others are measured all the same
            traceback.print_exc()
            failed.append(name)
            continue
        section = f"{_circumstances(time.monotonic() - began)}\n\n{section}"
        print(section, flush=True)
        # Read again, as another run may have written other sections meanwhile.
        RESULTS.write_text(_written(_sections() | {name: section}), encoding="utf-8")
    return failed


def main() -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all of them if none is given"
    )
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}")
    try:
        failed = _measure(names)
    except KeyboardInterrupt:
        sys.exit("stopped; results.md has the sections that were finished")
    if failed:
        sys.exit(f"failed, and not renewed in results.md: {', '.join(failed)}")


if __name__ == "__main__":
    main()

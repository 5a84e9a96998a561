"""Runs the benchmarks named, or all of them, and writes ``results.md``: a section each, the others are kept."""

import argparse
import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

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

_HEAD = "# Results\n\nWritten by `./dev bench`; `./dev bench NAME` renews one section.\n"
_SECTION = re.compile(r"^## (\w+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    commit, changes = (
        subprocess.run([git, *command], cwd=RESULTS.parent, capture_output=True, text=True, check=False).stdout.strip()
        for command in (["rev-parse", "--short=10", "HEAD"], ["status", "--porcelain"])
    )
    return (commit or "unknown") + (" and changes since" if changes else "")


def _circumstances() -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {_commit()}, {os.cpu_count()} cores, "
        f"{platform.machine()}, Python {platform.python_version()}."
    )


def _sections() -> dict[str, str]:
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    return {name: body.strip() for name, body in _SECTION.findall(text)}


def main() -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all of them if none is given"
    )
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    sections = _sections()
    for name in names:
        sections[name] = f"{_circumstances()}\n\n{import_module(f'benchmarks.{name}').measure().strip()}"
        print(sections[name])
        parts = [_HEAD, *(f"## {each}\n\n{sections[each]}\n" for each in BENCHMARKS if each in sections)]
        RESULTS.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()

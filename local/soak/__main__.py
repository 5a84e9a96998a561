"""`python -m local.soak`, run by `./dev soak`: everything fails for some minutes, and then the books are to balance."""

import argparse
import random
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from local.interrupts import put_off
from local.processes import REPOSITORY

FOLDER = REPOSITORY / ".cache" / "soak"


def main() -> int:
    """Runs a soak.

    Returns:
        0 if all checks hold, 1 if one does not, it was stopped early or a part failed.
    """
    parser = argparse.ArgumentParser(
        prog="./dev soak",
        description="Runs the app for some minutes with every fault at once and hosts that are killed, waits until "
        "nothing changes any more, and checks the books.",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=4.0,
        help="how long everything fails (default: 4); then up to six more until a dead host's claims have run out",
    )
    parser.add_argument("--seed", type=int, help="decides what is submitted, and which hosts end when (default: any)")
    parser.add_argument("--hosts", type=int, default=2, help="how many hosts run at once (default: 2)")
    parser.add_argument(
        "--no-deduplicate", action="store_true", help="run without RETRY_DEDUPLICATE, to see its window"
    )
    arguments = parser.parse_args()
    if arguments.minutes <= 0 or arguments.hosts < 1:
        parser.error("--minutes and --hosts have to be above zero")
    seed = random.randrange(10_000) if arguments.seed is None else arguments.seed
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-seed-{seed}"
    folder.mkdir(parents=True)
    _say(f"start  seed {seed}; logs and the summary go to {folder.relative_to(REPOSITORY)}")
    try:
        return _soak(arguments, seed, folder)
    except KeyboardInterrupt:
        _say("Stopped. Nothing is left running.")
        return 1


def _soak(arguments: argparse.Namespace, seed: int, folder: Path) -> int:
    # They take a second to import, in which Python loses a Ctrl-C now and then, or ends with another status.
    with put_off():
        from local.processes import ProcessFailed  # noqa: PLC0415
        from local.soak.plan import Plan  # noqa: PLC0415
        from local.soak.run import soak  # noqa: PLC0415
        from local.soak.summary import markdown  # noqa: PLC0415
        from local.watch.checks import exit_status  # noqa: PLC0415

    plan = Plan(
        seconds=arguments.minutes * 60, seed=seed, hosts=arguments.hosts, deduplicate=not arguments.no_deduplicate
    )
    try:
        outcome = soak(plan, folder, _say)
    except ProcessFailed as error:
        _say(f"./dev soak: {error}")
        return 1
    text = markdown(plan, outcome)
    summary = folder / "summary.md"
    summary.write_text(text, encoding="utf-8")
    _say(f"\n{text}\nlogs: {folder}\nsummary: {summary}")
    return 1 if outcome.interrupted else exit_status(outcome.checks)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

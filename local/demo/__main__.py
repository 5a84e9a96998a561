"""`python -m local.demo`, run by `./dev demo`: the whole flow on this machine, shown and checked."""

import argparse
import signal
import sys

from local.interrupts import put_off

INTERRUPTED = 130


def main() -> int:
    """Runs the demo.

    Returns:
        0 if all checks hold, 1 if one does not or a part failed, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="./dev demo", description="Runs the whole flow on this machine, shows it, and checks that nothing is lost."
    )
    stay = parser.add_mutually_exclusive_group()
    stay.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C, to look around")
    stay.add_argument("--open", action="store_true", help="the same, with the dashboard, from the beginning")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print("   start  this takes a minute, and another one the first time, to install Azurite", flush=True)
        return _demo(keep=arguments.keep or arguments.open, announce=arguments.open)
    except KeyboardInterrupt:
        print("\nStopped. Nothing is left running.")
        return INTERRUPTED


def _demo(*, keep: bool, announce: bool) -> int:
    # They take a second to import, in which Python loses a Ctrl-C now and then, or ends with another status.
    with put_off():
        from local.demo.flow import run, stay  # noqa: PLC0415
        from local.demo.screen import make_console  # noqa: PLC0415
        from local.demo.stage import open_stage  # noqa: PLC0415
        from local.processes import ProcessFailed  # noqa: PLC0415

    console = make_console()
    try:
        with open_stage(lambda part, what: console.print(f"{part:>8}  {what}", soft_wrap=True)) as stage:
            if announce:
                console.print(f"    page  {stage.page}: open it and look on", soft_wrap=True, style="bold")
            status = run(console, stage)
            if keep:
                stay(console, stage)
    except ProcessFailed as error:
        console.print(f"./dev demo: {error}", style="red", markup=False)
        return 1
    console.print("Stopped. Nothing is left running." if keep else "Look around: ./dev demo --open")
    return status


if __name__ == "__main__":
    sys.exit(main())

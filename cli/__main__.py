"""The console script `tracker`, and `python -m cli`."""

import sys

_OWN = frozenset({"click", "msgspec", "rich"})


def main() -> None:
    """Runs the command line of the process."""
    try:
        # Here, so that a lack of them can be told.
        from cli.program import run  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if missing.name not in _OWN:
            raise
        sys.exit("tracker: its own packages are missing: pip install 'adx-ingestion-tracker[cli]'")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run())


if __name__ == "__main__":
    main()

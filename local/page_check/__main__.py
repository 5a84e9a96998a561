"""`python -m local.page_check`: says what is wrong with the dashboard's files, and fails if anything is."""

import sys

from local.page_check.checks import findings
from local.processes import ProcessFailed


def main() -> None:
    """Prints what there is to mend; nothing where all is well."""
    try:
        found = findings()
    except ProcessFailed as error:
        sys.exit(f"./dev check: {error}")
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()

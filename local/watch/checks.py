"""What has to hold in the end, and how it is told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NAMED = 3


@dataclass(frozen=True, slots=True)
class Check:
    """Something that has to hold.

    Attributes:
        claim: What.
        passed: Whether it holds.
        found: The figures, or what is wrong.
    """

    claim: str
    passed: bool
    found: str


def exit_status(checks: Iterable[Check]) -> int:
    """Returns 0 if all checks hold, else 1.

    Args:
        checks: The checks.
    """
    return 0 if all(check.passed for check in checks) else 1


def figures(total: int, wrong: Sequence[str], what: str) -> str:
    """Says how many there are; of those that are wrong, how many, and names the first.

    Args:
        total: How many there are.
        wrong: What is wrong.
        what: In what way.
    """
    if not wrong:
        return f"{total:,}"
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return f"{len(wrong)} {what}: {'; '.join(wrong[:NAMED])}{more}"

"""What is handed in so that tests decide it: the time, randomness, and fresh IDs."""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.backoff import Random


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    # As random as a UUID, and made in a quarter of the time: each request has one.
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Ambient:
    """The surroundings. Times are aware and in UTC; ``random`` is uniform in [0, 1)."""

    now: Callable[[], datetime] = _utc_now
    random: Random = random.random
    new_id: Callable[[], str] = _new_id

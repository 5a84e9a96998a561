"""The simulated service as a whole, without HTTP: what the endpoints and the control endpoints act on."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import datetime
from typing import Any

import aiohttp

from local.adx_simulator.answers import Answer
from local.adx_simulator.crowds import Crowd, crowd_rule
from local.adx_simulator.faults import Fault, Faults
from local.adx_simulator.ingestion import Ingestion
from local.adx_simulator.operations import Planted
from local.adx_simulator.requests_log import RequestsLog
from local.adx_simulator.settings import Settings, changed


class Simulator:
    """The service, its faults and its log.

    Attributes:
        ingestion: What takes submissions and knows operations.
        log: What was asked.
        now: The clock.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        seed: int,
        session: aiohttp.ClientSession,
        pool: Executor,
        now: Callable[[], datetime],
    ) -> None:
        self._first_settings = settings
        self._seed = seed
        self._fault_rng = random.Random(f"faults {seed}")
        self.now = now
        self.log = RequestsLog()
        rng = random.Random(f"ingestion {seed}")
        self.ingestion = Ingestion(settings, self._faults(()), session=session, pool=pool, rng=rng, now=now)

    @property
    def settings(self) -> Settings:
        """How it behaves now."""
        return self.ingestion.settings

    @property
    def faults(self) -> Faults:
        """The faults that are on."""
        return self.ingestion.faults

    def set_faults(self, faults: Sequence[Fault]) -> None:
        """Switches these faults on and all others off; their counts begin anew.

        Args:
            faults: The faults; the first that fits strikes.
        """
        self.ingestion.faults = self._faults(faults)

    def configure(self, changes: dict[str, Any]) -> None:
        """Changes how it behaves from now on.

        Args:
            changes: Fields of `Settings`; with `database` and `table`, `dialect` is that table's alone.

        Raises:
            ValueError: A field is unknown or its value can't be.
        """
        self.ingestion.settings = changed(self.settings, changes)

    def plant(
        self, database: str, table: str, operation_id: str, plain: Sequence[Answer], detailed: Sequence[Answer]
    ) -> None:
        """Lets an operation answer what was written by hand.

        Args:
            database: The database in the path.
            table: The table in the path.
            operation_id: The operation ID in the path.
            plain: Answers without details, one after the other; the last repeats.
            detailed: Answers with details.
        """
        self.ingestion.operations.plant(database, table, operation_id, Planted(plain, detailed))

    def plant_many(self, crowd: Crowd) -> None:
        """Lets many operations answer by a rule, in the dialect that their table has now.

        Args:
            crowd: The operations, in place of those that their table has had by a rule.
        """
        rule = crowd_rule(crowd, self.settings.dialect_of(crowd.database, crowd.table), self.now)
        self.ingestion.operations.plant_many(crowd.database, crowd.table, rule)

    def reset(self) -> None:
        """Forgets operations, rows, faults and requests, and takes the first settings again.

        IDs and random choices go on: what a client still remembers never comes to mean another operation.
        """
        self.ingestion.reset()
        self.ingestion.settings = self._first_settings
        self.set_faults(())
        self.log = RequestsLog()

    def _faults(self, faults: Sequence[Fault]) -> Faults:
        return Faults(faults, seed=self._seed, rng=self._fault_rng)

"""Whatever crashes, is delivered twice, arrives late or out of order: the guarantee holds."""

import os

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.adx import Fate
from tests.model.machine import OutsideWorld, OutsideWorldWithBulkStatus
from tests.support.interference import Harm

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "100"))
STEPS = 40


# Seconds as a rule; a failure is made small, and many examples are looked at, for as long as that takes.
@pytest.mark.timeout(7200)
def test_the_guarantee_holds_whatever_happens() -> None:
    run_state_machine_as_test(OutsideWorld, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS))


@pytest.mark.timeout(7200)
def test_the_guarantee_holds_with_bulk_status() -> None:
    machine = OutsideWorldWithBulkStatus
    run_state_machine_as_test(machine, settings=settings(max_examples=EXAMPLES // 2, stateful_step_count=STEPS))


@pytest.mark.parametrize("calls", range(2, 12))
def test_a_resubmission_is_watched_though_its_message_went_with_another_delivery(calls: int) -> None:
    machine = OutsideWorld()
    machine.choose_settings(deduplicate=False, blobs=1, endings=[Fate.SUCCEEDED])
    machine.blobs_end_and_the_work_goes_on([Fate.WORKED_ON], "tick", {})
    machine.blobs_end_and_the_work_goes_on([Fate.TRANSIENT], "tick", {})
    # The first delivery dies between Resubmitted and the registration; the second has read the rows before.
    machine.one_message_is_handled_twice_at_once(
        pick=0, stretches=[0, calls], trouble={("IngestionBlobs.create_entity", 0): Harm.CRASHES_BEFORE}
    )
    machine.teardown()

"""Whatever crashes, is delivered twice, arrives late or out of order: the guarantee holds."""

import os

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import OutsideWorld

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "150"))
STEPS = 40


def test_the_guarantee_holds_whatever_happens() -> None:
    run_state_machine_as_test(OutsideWorld, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS))

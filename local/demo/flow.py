"""The way of the files through the parts, from the upload to the judgement."""

import time

from rich.console import Console

from local.demo.data import DATA_SETS
from local.demo.plan import REQUEST_FAULTS, Plan, make_plan
from local.demo.report import check_all
from local.demo.screen import Moment, Show, open_screen
from local.demo.stage import Stage
from local.demo.summary import print_addresses, print_failure, print_summary
from local.demo.upstream import JOB, let_all_load, submit, submit_missing, upload
from local.watch.checks import Check, exit_status
from local.watch.facts import Facts
from local.watch.watcher import Watcher

LOOK_SECONDS = 0.5
LOG_SECONDS = 5.0
# Several times what it takes: whoever waits this long has found a defect.
LONGEST_SECONDS = 400.0


def run(console: Console, stage: Stage) -> int:
    """Lets the files through, and judges what became of them.

    Args:
        console: Where to show it.
        stage: The running parts.

    Returns:
        The exit status.
    """
    plan = make_plan()
    with Watcher(stage.azurite.connection_string, stage.adx) as watcher:
        with open_screen(console) as show:
            flow = _Flow(stage, plan, watcher, show)
            facts = flow.run()
        checks = [_kept_up(stage, facts), *check_all(plan, facts)]
        print_summary(console, plan, facts, checks, flow.seconds)
    stage.save_log()
    status = exit_status(checks)
    if status:
        print_failure(console, stage)
    return status


def stay(console: Console, stage: Stage) -> None:
    """Keeps everything running until Ctrl-C, or until the app ends.

    Args:
        console: Where to print how to look around.
        stage: The running parts.
    """
    let_all_load(stage)
    print_addresses(console, stage)
    try:
        while stage.host.running():
            time.sleep(LOG_SECONDS)
            stage.save_log()
    except KeyboardInterrupt:
        return
    print_failure(console, stage)


class _Flow:
    """The way of the files through the parts, shown at every step."""

    def __init__(self, stage: Stage, plan: Plan, watcher: Watcher, show: Show) -> None:
        self._stage = stage
        self._plan = plan
        self._watcher = watcher
        self._show = show
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def run(self) -> Facts:
        """Uploads, submits, and watches until nothing changes any more. Returns what is known then."""
        stage, plan = self._stage, self._plan
        self._look(f"Uploading {len(plan.files)} files")
        upload(stage, plan)
        stage.adx.set_faults(plan.blob_faults())
        for data_set in DATA_SETS:
            self._look(f"{JOB} submits {data_set.container}")
            submit(stage, data_set)
        submit_missing(stage, plan.missing)
        stage.adx.set_faults([*plan.blob_faults(), *REQUEST_FAULTS])
        while not (facts := self._look("The app watches every operation to its end")).is_settled:
            if not stage.host.running() or self.seconds > LONGEST_SECONDS:
                break
            time.sleep(LOOK_SECONDS)
        return facts

    def _look(self, phase: str) -> Facts:
        facts = self._watcher.look()
        self._show(Moment(phase, len(self._plan.files), facts, self.seconds))
        return facts


def _kept_up(stage: Stage, facts: Facts) -> Check:
    claim = f"the app ran all the time and was done within {LONGEST_SECONDS:.0f} s"
    found = "" if facts.is_settled else "it was not done" if stage.host.running() else "it ended by itself"
    return Check(claim, not found, found)

"""The machine finds an app that breaks a promise: each of these does, in one place."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from shared import outcome, settle
from shared.announce import Announcer
from shared.model import BlobReport
from shared.poll import Poller
from shared.register import Registrar
from shared.resubmit import Resubmitter
from shared.settle import Settler
from shared.store import outstanding
from shared.store.list_rows import ListRows, listing_writes
from shared.store.results import Results
from tests.model.machine import OutsideWorld

SEARCH = settings(
    # Some are found by the third example, and some by the three hundredth: which are tried depends on all that the
    # process has imported, as hypothesis takes constants from it. The first finding ends the search.
    max_examples=5_000,
    report_multiple_bugs=False,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def forget_to_put_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Resubmitter, "_put_back", lambda *_: None)


def forget_to_register_resubmissions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Resubmitter, "_register", lambda *_: None)


def forget_the_operations_row(patch: pytest.MonkeyPatch) -> None:
    register = Registrar.register

    def without_row(registrar: Registrar, message: Any) -> bool:  # noqa: ANN401, passed on
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Results, "add_operation", lambda *_: None)
            return register(registrar, message)

    patch.setattr(Registrar, "register", without_row)


def retry_without_limit(patch: pytest.MonkeyPatch) -> None:
    merge = outcome.merge_keyed
    patch.setattr(settle, "merge_keyed", lambda *rows, attempt, most: merge(*rows, attempt=attempt, most=most + 1))


def retry_exhausted_blobs(patch: pytest.MonkeyPatch) -> None:
    kinds = ("Transient", "Exhausted")
    patch.setattr(BlobReport, "is_transient", property(lambda report: report.has_failed and report.failure in kinds))


def let_go_before_it_is_told(patch: pytest.MonkeyPatch) -> None:
    write_back, announce = Poller._write_back, Settler.announce  # noqa: SLF001, to break it

    def in_the_wrong_order(poller: Any, *arguments: Any) -> None:  # noqa: ANN401, passed on
        ended: list[Any] = []

        def take(_: Settler, each: list[Any]) -> dict[str, str]:
            ended.extend(each)
            return {}

        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Settler, "announce", take)
            write_back(poller, *arguments)
        announce(poller._settler, ended)  # noqa: SLF001, the same

    patch.setattr(Poller, "_write_back", in_the_wrong_order)


def forget_to_tell_corrections(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Announcer, "corrected", lambda *_: None)


def let_go_what_could_not_be_told(patch: pytest.MonkeyPatch) -> None:
    tell = Announcer.settled

    def all_told(announcer: Announcer, endings: Any) -> dict[str, str]:  # noqa: ANN401, passed on
        tell(announcer, endings)
        return {}

    patch.setattr(Announcer, "settled", all_told)


def retry_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(settle, "retry_delay", lambda *_, **__: timedelta())


def forget_to_correct_list_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ListRows, "follow", lambda *_: None)


def end_by_two_states(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outstanding, "ending_writes", listing_writes)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("break_it", "finding"),
    [
        (forget_to_put_back, "no message carries it"),
        (forget_to_register_resubmissions, "nobody watched"),
        (forget_the_operations_row, "a message that was handled has its operation's row"),
        (retry_without_limit, "beyond the limit"),
        (retry_exhausted_blobs, "was never Transient"),
        (retry_at_once, "a delay of"),
        (forget_to_correct_list_rows, "is listed otherwise than its row says"),
        (end_by_two_states, "it has one list row of each kind"),
        (let_go_before_it_is_told, "was not told of"),
        (forget_to_tell_corrections, "was told otherwise"),
        (let_go_what_could_not_be_told, "was not told of"),
    ],
)
def test_a_broken_promise_is_found(
    break_it: Callable[[pytest.MonkeyPatch], None], finding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_it(monkeypatch)
    with pytest.raises(AssertionError, match=finding):
        run_state_machine_as_test(OutsideWorld, settings=SEARCH)

"""A submission is cut short at every step in turn, and run again by its journal: nothing is submitted twice."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from cli.errors import ExitStatus, Refused, Stopped, Unreachable
from cli.facts import BlobFacts, Named, OperationInFull, OperationsPage, Redriven, Wanted
from cli.journal import Journal
from cli.submission import Submission, Submitter, Target, groups_of
from shared.errors import KustoError, RequestRejected, RoleMissing, Throttled, Unavailable
from shared.messages import MOST_BYTES
from shared.model import BlobSource, IngestionLimits, Json, Operation, Properties, bare_url
from tests.support.facts import CLUSTER

TARGET = Target(CLUSTER, "Sales", "Orders", {"format": "csv", "enableTracking": True}, "night")
URLS = [f"https://acc.blob.core.windows.net/in/{number:02}.csv?sig=s3cr3t" for number in range(45)]
BARE = [bare_url(url) for url in URLS]


class Killed(BaseException):
    """The process ends here, and runs nothing more."""


@dataclass
class StandIn:
    """ADX and the tracker; before or after its ``step``-th act the process is killed."""

    step: int = -1
    after: bool = False
    errors: list[Exception | None] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    posted: dict[str, list[str]] = field(default_factory=dict)
    acts: int = 0

    place = "the stand-in"

    def _act(self, act: Callable[[], None]) -> None:
        is_last = self.acts == self.step
        self.acts += 1
        if is_last and not self.after:
            raise Killed
        act()
        if is_last:
            raise Killed

    def submit(self, _parent: Operation, blobs: Sequence[BlobSource], _properties: Properties) -> str | None:
        error = self.errors.pop(0) if self.errors else None
        if error:
            raise error
        self._act(lambda: self.accepted.extend(bare_url(blob.url) for blob in blobs))
        return f"op-{len(self.accepted)}"

    def limits(self, _cluster: str) -> IngestionLimits:
        return IngestionLimits()

    def track(self, message: Mapping[str, Json]) -> Named:
        blobs = message["blobs"]
        assert isinstance(blobs, list)
        urls = [str(blob["url"]) for blob in blobs if isinstance(blob, dict)]
        self._act(lambda: self.posted.update({str(message["operationId"]): urls}))
        return Named(str(message["operationId"]))

    def check(self, message: Mapping[str, Json]) -> None:
        assert message["correlationId"] == "night"

    def page(self, _wanted: Wanted, _most: int, _after: str | None = None) -> OperationsPage:
        raise AssertionError

    def operation(self, _named: Named) -> OperationInFull:
        raise AssertionError

    def blobs(
        self, _operation: Named, *, statuses: Collection[str] = (), retry_states: Collection[str] = ()
    ) -> Iterator[BlobFacts]:
        raise AssertionError((statuses, retry_states))

    def redrive_blobs(self, _named: Named, _content: Mapping[str, Json], _by: str) -> Redriven:
        raise AssertionError

    def redrive_messages(self, _queue: str, _by: str, _most: int | None) -> Redriven:
        raise AssertionError


def _never(seconds: float) -> None:
    raise AssertionError(seconds)


def run(
    stand_in: StandIn,
    path: Path,
    *,
    target: Target = TARGET,
    urls: Sequence[str] = URLS,
    again: bool = False,
    sleep: Callable[[float], None] = _never,
    says: Callable[[Submission], object] = lambda _: None,
) -> Submitter:
    journal = Journal.begin(path, target.as_json())
    if again:
        journal.forget_unknown()
    submitter = Submitter(
        stand_in,
        stand_in,
        journal,
        target,
        say=lambda _: None,
        submitted=lambda _: None,
        sleep=sleep,
    )
    try:
        submitter.run(urls)
    finally:
        says(submitter.outcome)
        journal.close()
        stand_in.errors.clear()
    return submitter


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(6))
def test_killed_at_a_step_it_goes_on_and_repeats_nothing(tmp_path: Path, step: int, *, after: bool) -> None:
    path, stand_in = tmp_path / "journal", StandIn(step, after=after)
    told: list[Submission] = []
    with pytest.raises(Killed):
        run(stand_in, path, says=told.append)
    outcome = run(stand_in, path).outcome
    # A request without an answer is left alone: even acts are submissions.
    lost = BARE[20 * (step // 2) : 20 * (step // 2 + 1)] if step % 2 == 0 else []
    assert outcome.unknown == tuple(lost) == told[0].unknown
    done_before = len([url for each in told[0].submitted for url in each.blobs])
    assert told[0].left == 45 - 20 * (step // 2 + 1) if step < 4 else told[0].left == 0
    assert done_before == 20 * (step // 2)
    taken = set(lost) if after else set()
    assert sorted(stand_in.accepted) == sorted((set(BARE) - set(lost)) | taken)
    watched = [url for urls in stand_in.posted.values() for url in urls]
    assert sorted(map(bare_url, watched)) == sorted(set(BARE) - set(lost))
    assert all("sig=s3cr3t" in url for url in watched)
    assert "s3cr3t" not in path.read_text()
    assert run(stand_in, path, again=True).outcome.unknown == ()
    assert set(stand_in.accepted) == set(BARE)
    again = run(stand_in, path).outcome.submitted
    assert {each.is_new for each in again} == {False}
    assert {url for each in again for url in each.blobs} == set(BARE)


def test_a_journal_whose_last_line_is_cut_short_is_read_up_to_it(tmp_path: Path) -> None:
    whole, stand_in = tmp_path / "whole", StandIn()
    run(stand_in, whole, urls=URLS[:25])
    content = whole.read_bytes()
    ends = [place for place, byte in enumerate(content) if byte == ord("\n")]
    for length in sorted(
        {place + near for place in [0, *ends] for near in (-1, 0, 1, 2, 20) if 0 <= place + near < len(content)}
    ):
        path = tmp_path / "cut"
        path.write_bytes(content[:length])
        later = StandIn()
        outcome = run(later, path, urls=URLS[:25]).outcome
        known = content[:length].count(b'"accepted"')
        assert len(later.accepted) + len(outcome.unknown) + outcome.skipped == 25, length
        assert outcome.skipped in (0, 20, 25)
        assert known >= bool(outcome.skipped)
        path.unlink()


@pytest.mark.parametrize(
    ("error", "status", "unknown"),
    [
        (RequestRejected("no such table"), ExitStatus.REFUSED, 0),
        (RoleMissing("no"), ExitStatus.REFUSED, 0),
        (Unavailable("503"), ExitStatus.UNREACHABLE, 0),
        (Unavailable("no answer", maybe_accepted=True), ExitStatus.UNREACHABLE, 20),
    ],
)
def test_an_error_half_way_stops_it_and_is_told(
    tmp_path: Path, error: KustoError, status: ExitStatus, unknown: int
) -> None:
    path, stand_in = tmp_path / "journal", StandIn(errors=[None, error])
    with pytest.raises(Stopped) as stopped:
        run(stand_in, path)
    assert stopped.value.exit_status is status
    assert len(stand_in.accepted) == 20
    outcome = run(stand_in, path).outcome
    assert (outcome.skipped, len(outcome.unknown), len(stand_in.accepted)) == (20, unknown, 45 - unknown)


def test_a_cluster_that_asks_for_time_gets_it(tmp_path: Path) -> None:
    stand_in = StandIn(errors=[Throttled("slow", retry_after=timedelta(seconds=7)), Throttled("slow")])
    slept: list[float] = []
    run(stand_in, tmp_path / "journal", sleep=slept.append)
    assert slept == [7, 10]
    assert sorted(stand_in.accepted) == BARE
    with pytest.raises(Stopped):
        run(StandIn(errors=[Throttled("slow")] * 11), tmp_path / "other", sleep=slept.append)


def test_a_tracker_that_is_not_told_is_told_the_next_time(tmp_path: Path) -> None:
    class Deaf(StandIn):
        def track(self, message: Mapping[str, Json]) -> Named:
            raise Unreachable(str(message["operationId"]))

    path, deaf = tmp_path / "journal", Deaf()
    with pytest.raises(Stopped) as stopped:
        run(deaf, path)
    assert stopped.value.exit_status is ExitStatus.UNREACHABLE
    stand_in = StandIn(accepted=list(deaf.accepted))
    outcome = run(stand_in, path).outcome
    assert [(each.operation_id, each.is_new) for each in outcome.submitted[:2]] == [("op-20", False), ("op-40", True)]
    assert sorted(stand_in.posted["op-20"]) == URLS[:20]
    assert sorted(stand_in.accepted) == BARE


def test_what_adx_took_without_an_id_is_told_each_time(tmp_path: Path) -> None:
    class Nameless(StandIn):
        def submit(self, parent: Operation, blobs: Sequence[BlobSource], properties: Properties) -> str | None:
            super().submit(parent, blobs, properties)
            return None

    path, nameless = tmp_path / "journal", Nameless()
    for _ in range(2):
        with pytest.raises(Stopped, match="no operation ID") as stopped:
            run(nameless, path, urls=URLS[:3])
        assert stopped.value.exit_status is ExitStatus.FAILED
    assert nameless.accepted == BARE[:3]
    run(nameless, tmp_path / "other", urls=[])


def test_a_journal_is_for_one_run_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    first = Journal.begin(path, TARGET.as_json())
    with pytest.raises(Refused, match="going on"):
        run(StandIn(), path)
    first.close()
    run(StandIn(), path)


def test_a_blob_that_is_named_twice_is_submitted_once(tmp_path: Path) -> None:
    stand_in = StandIn()
    run(stand_in, tmp_path / "journal", urls=[URLS[0], URLS[1], URLS[0].replace("s3cr3t", "other")])
    assert stand_in.accepted == BARE[:2]


def test_a_journal_of_another_submission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    run(StandIn(), path, urls=URLS[:1])
    for target in (Target(CLUSTER, "Sales", "Other", TARGET.properties), Target(CLUSTER, "Sales", "Orders", {})):
        with pytest.raises(Refused, match="another submission"):
            run(StandIn(), path, target=target)
    for content in ("no json\n", '{"version": 2}\n', "[]\n", '{"version": 1, "target": {}}\n{"accepted": 1}\n'):
        path.write_text(content)
        with pytest.raises(Refused, match="no journal"):
            run(StandIn(), path)
    with pytest.raises(Refused, match="can't be written"):
        run(StandIn(), tmp_path)


def test_a_journal_is_for_its_owner_alone_and_holds_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    secret = Target(CLUSTER, "Sales", "Orders", {"format": "csv", "x": "https://a.example/b?sig=s3cr3t"}, "night")
    run(StandIn(), path, target=secret)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "s3cr3t" not in path.read_text()


def test_groups_have_room_in_a_request_and_in_a_message() -> None:
    long = [BlobSource(f"https://acc.blob.core.windows.net/{'x' * 3_000}/{number}", "s") for number in range(40)]
    groups = list(groups_of(long, 20, TARGET))
    assert [blob for group in groups for blob in group] == long
    assert max(len(json.dumps(TARGET.message("x" * 100, group))) for group in groups) <= MOST_BYTES
    assert [len(group) for group in groups_of(long[:0], 20, TARGET)] == []
    assert [len(group) for group in groups_of([BlobSource(url) for url in URLS], 20, TARGET)] == [20, 20, 5]


def test_what_no_message_has_room_for_is_refused_before_anything_is_submitted(tmp_path: Path) -> None:
    stand_in = StandIn()
    with pytest.raises(Refused, match="too long for a message"):
        run(stand_in, tmp_path / "journal", urls=[*URLS, f"https://acc.blob.core.windows.net/{'x' * 60_000}"])
    assert stand_in.acts == 0

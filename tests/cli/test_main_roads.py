"""What people do all day, with the console script on real parts: submit, watch, look, redrive."""

import json

import pytest

from local.adx_simulator import AdxSimulator, BlobFault, RequestFault
from shared.store import TABLES
from tests.cli.console import KEY, Console
from tests.support.world import DATABASE, World, eventually

GOOD = b"1,2\n3,4\n"


def container_of(world: World, names: list[str]) -> tuple[str, str]:
    """The URL and the SAS of a container with these blobs."""
    for name in names:
        world.upload(name, GOOD)
    return world.container_url(), world.sas(may_list=True)


def test_a_container_is_submitted_in_requests_of_twenty_and_watched_to_its_end(world: World, console: Console) -> None:
    host = world.start_host(function_keys={"ada": KEY})
    url, sas = container_of(world, [*(f"in/{number:02}.csv" for number in range(45)), "other/x.csv"])
    sas_file = console.folder / "sas"
    sas_file.write_text(sas)
    words = ["--container", url, "--prefix", "in/", "--sas-file", str(sas_file), "--format", "csv"]
    planned = console.json("submit", *words, "--dry-run")
    assert [len(each["blobs"]) for each in planned["requests"]] == [20, 20, 5]
    done = console.run("submit", *words)
    assert done.returncode == 0, done.stderr
    ids = done.stdout.split()
    assert len(ids) == 3
    watched = console.run("watch", "--until-settled", "--from-file", "-", "--interval", "1s", given=done.stdout)
    assert watched.returncode == 0, watched.stderr
    assert "3 of 3 operation(s) succeeded" in watched.stderr
    listed = console.json("list", "--table", world.table)
    assert {each["operationId"]: each["blobs"]["succeeded"] for each in listed["operations"]} == dict(
        zip(ids, [20, 20, 5], strict=True)
    )
    assert world.adx.books().rows == 90
    assert list(console.folder.glob("*.jsonl")) == []
    assert "sig=" not in host.output()


def test_a_blob_that_failed_for_good_is_explained_and_loaded_once_a_person_says_so(
    world: World, adx: AdxSimulator, console: Console
) -> None:
    host = world.start_host(function_keys={"ada": KEY})
    adx.set_faults([BlobFault(kind="permanent", url_contains="/bad", submissions=1)])
    urls = console.folder / "urls"
    urls.write_text(f"# two\n{world.upload('good.csv', GOOD)}\n\n{world.upload('bad.csv', GOOD)}\n")
    submitted = console.json("submit", "--from-file", str(urls), "--format", "csv", "--correlation-id", "night")
    (operation,) = submitted["operations"]
    operation_id = operation["operationId"]
    assert operation["blobs"] == [f"{world.container_url()}/{name}.csv" for name in ("good", "bad")]
    watch = "watch", operation_id, "--until-settled", "--interval", "1s"
    failed = console.run(*watch)
    assert failed.returncode == 1, failed.stderr
    assert "BadRequest_MissingMappingFailure" in failed.stdout
    assert "0 of 1 operation(s) succeeded" in failed.stderr
    for source in (console, console.by_api(host)):
        shown = source.here("status", operation_id)
        assert shown.returncode == 0, shown.stderr
        assert "PartiallySucceeded" in shown.stdout
        assert "night" in shown.stdout
        explained = source.here("failures", "--table", world.table)
        assert explained.returncode == 0, explained.stderr
        assert "BadRequest_MissingMappingFailure: 1 blob(s), Permanent" in explained.stdout
        assert f"tracker redrive '{operation_id}'" in explained.stdout
    unasked = console.run("redrive", operation_id, "--as", "ada")
    assert (unasked.returncode, unasked.stdout) == (2, "")
    assert "--yes" in unasked.stderr
    assert "nothing was done" in console.on_terminal("redrive", operation_id, typed="n\n")
    assert world.blob_named(operation_id, "bad.csv")["RetryState"] == ""
    fresh = console.folder / "fresh"
    fresh.write_text(world.url("bad.csv"))
    redriven = console.on_terminal("redrive", operation_id, "--as", "ada", "--blobs-from", str(fresh), typed="y\n")
    assert "Have those of 1 named blob(s)" in redriven
    assert f"1 blob(s) of {operation_id} are on the retry queue" in redriven
    assert "sig=" not in redriven
    mended = console.on_terminal(*watch)
    assert "1 of 1 operation(s) succeeded" in mended
    assert world.blob_named(operation_id, "bad.csv")["RedrivenBy"] == "ada"
    assert adx.books().rows == 4


def test_what_is_submitted_again_is_waited_for(world: World, adx: AdxSimulator, console: Console) -> None:
    host = world.start_host(function_keys={"ada": KEY})
    adx.set_faults([BlobFault(kind="transient", submissions=1)])
    operation_id = console.run("submit", "--format", "csv", world.upload("a.csv", GOOD)).stdout.strip()
    done = console.by_api(host).run("watch", operation_id, "--until-settled", "--interval", "1s", "--json")
    assert done.returncode == 0, done.stderr
    *changes, end = map(json.loads, done.stdout.splitlines())
    assert {change["operation"]["operationId"] for change in changes} == {operation_id}
    assert end == {"event": "end", "succeeded": 1, "failed": 0, "failedBlobs": [], "lostOperations": []}
    shown = console.json("status", operation_id, "--blobs", "all")
    assert [each["state"] for each in shown["operation"]["lineage"]["operations"]] == ["Failed", "Succeeded"]
    assert shown["blobs"][0]["retryState"] == "Resubmitted"
    own = console.run("watch", operation_id, "--until-settled", "--no-follow")
    assert own.returncode == 1


def test_operations_that_upstream_has_submitted_are_tracked(world: World, console: Console) -> None:
    host = world.start_host(function_keys={"ada": KEY})
    ids = [world.submit([world.upload(f"{number}.csv", GOOD)])[0] for number in range(2)]
    by_storage = console.run("track", ids[0], "--format", "csv")
    by_api = console.by_api(host).run("track", ids[1], "--properties", '{"format": "csv"}')
    assert [by_storage.stdout.strip(), by_api.stdout.strip()] == ids
    done = console.run("watch", *ids, "--until-settled", "--timeout", "150s", "--interval", "1s")
    assert done.returncode == 0, done.stderr


def test_an_operation_that_does_not_end_in_time_is_told_by_the_exit_status(
    world: World, adx: AdxSimulator, console: Console
) -> None:
    world.start_host()
    adx.set_faults([BlobFault(kind="stuck")])
    operation_id = console.run("submit", "--format", "csv", world.upload("a.csv", GOOD)).stdout.strip()
    eventually(lambda: world.operation(operation_id), "the registration")
    done = console.run("watch", operation_id, "never-seen", "--until-settled", "--timeout", "3s", "--interval", "1s")
    assert done.returncode == 3
    assert "2 operation(s) had not settled in time" in done.stderr
    assert "1 of them the tracker does not know" in done.stderr
    # Without IDs: what is outstanding now.
    outstanding = console.here(
        "watch", "--table", world.table, "--until-settled", "--timeout", "1s", "--interval", "1s"
    )
    assert outstanding.returncode == 3
    assert f"1 operation(s) had not settled in time: {operation_id}" in outstanding.stderr


def test_an_operation_that_adx_does_not_know_is_no_success(world: World, console: Console) -> None:
    host = world.start_host(NOT_FOUND_GRACE_MINUTES="0", function_keys={"ada": KEY})
    operation_id = f"gone-{world.table}"
    assert console.here("track", operation_id).returncode == 0
    done = console.by_api(host).run("watch", operation_id, "--until-settled", "--interval", "1s")
    assert done.returncode == 1
    assert f"{operation_id} ended NotFound" in done.stderr
    assert f"{operation_id} of {DATABASE}.{world.table} ended NotFound" in console.here("failures").stdout
    assert [each["state"] for each in console.json("failures", operation_id)["lostOperations"]] == ["NotFound"]


def test_both_ways_to_the_tracker_say_the_same(world: World, adx: AdxSimulator, console: Console) -> None:
    host = world.start_host(function_keys={"ada": KEY})
    adx.set_faults([BlobFault(kind="permanent", url_contains="/bad")])
    ids = [
        world.submit_and_post([world.upload("good.csv", GOOD), world.upload("bad.csv", GOOD)]),
        world.submit_and_post([world.upload("fine.csv", GOOD)]),
    ]
    for operation_id in ids:
        world.settled(operation_id)
    by_api = console.by_api(host)
    for words in (
        ["list", "--table", world.table],
        ["list", "--table", world.table, "--limit", "1"],
        ["list", "--state", "Succeeded", "--database", DATABASE, "--table", world.table, "--since", "1h"],
        ["list", "--id", ids[0]],
        ["list", "--table", world.table, "--error-code", "BadRequest_MissingMappingFailure"],
        ["status", ids[0], "--blobs", "all"],
        ["status", ids[1], "--table", world.table],
        ["failures", *ids],
        ["failures", "--table", world.table],
    ):
        by_storage = console.json(*words)
        assert by_storage == by_api.json(*words), words
        assert by_storage.get("operations") != []
    page = console.json("list", "--table", world.table, "--limit", "1")
    follows = by_api.json("list", "--table", world.table, "--after", page["continuationToken"])
    assert [each["operationId"] for each in page["operations"] + follows["operations"]] == ids[::-1]


@pytest.mark.parametrize("by", ["storage", "api"])
def test_what_is_not_there_is_told_in_a_line(world: World, console: Console, by: str) -> None:
    host = world.start_host(function_keys={"ada": KEY})
    source, place = (console.by_api(host), f"{host.uri}/api") if by == "api" else (console, "devstoreaccount1")
    for words, said in (
        (["status", "never-seen"], "no operation never-seen"),
        (["redrive", "never-seen", "--yes"], "no operation never-seen"),
        (["redrive-messages", "no-queue", "--yes"], "the queues are"),
        (["track", "x", "--cluster", "https://evil.example"], "KUSTO_ALLOWED_INGEST_URIS"),
        (["list", "--after", "nonsense"], "continuationToken"),
        (["redrive", "never-seen", "--yes", "--as", " "], ""),
    ):
        done = source.here(*words)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert said in done.stderr
        assert done.stderr.removeprefix(f"at {place}\n").count("\n") == 1


def test_poison_messages_go_back(world: World, console: Console) -> None:
    host = world.start_host(function_keys={"ada": KEY})
    queue = world.names["OPERATIONS_QUEUE"]
    world.queues.create_queue(f"{queue}-poison")
    operation_ids = [world.submit([world.upload(f"{number}.csv", GOOD)])[0] for number in range(2)]
    for operation_id, source in zip(operation_ids, (console, console.by_api(host)), strict=True):
        world.post(operation_id, suffix="-poison")
        done = source.run("redrive-messages", queue, "--yes", "--as", "ada")
        assert done.returncode == 0, done.stderr
        assert f"1 message(s) went from {queue}-poison to {queue}" in done.stdout
        assert world.settled(operation_id)["State"] == "Succeeded"


def test_a_submission_that_is_refused_half_way_goes_on_by_its_journal(
    world: World, adx: AdxSimulator, console: Console
) -> None:
    urls = console.folder / "urls"
    urls.write_text("\n".join(world.upload(f"{number}.csv", GOOD) for number in range(3)))
    words = ["submit", "--from-file", str(urls), "--format", "csv"]
    world.start_host()
    adx.set_faults([RequestFault(effect="error", request="submit", status=403)])
    refused = console.run(*words)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Ingestor on the table is missing" in refused.stderr
    (journal,) = console.folder.glob("tracker-submit-*.jsonl")
    assert f"3 blob(s) are left: the same again with --resume {journal.name} goes on" in refused.stderr
    adx.set_faults([RequestFault(effect="close", request="submit", accepted=True)])
    lost = console.run(*words, "--resume", journal.name)
    assert lost.returncode == 3
    assert "not known whether ADX took it" in lost.stderr
    adx.set_faults([])
    left_alone = console.run(*words, "--resume", journal.name, "--json")
    assert left_alone.returncode == 1
    told = json.loads(left_alone.stdout)
    assert (told["operations"], len(told["unknown"]), told["journal"]) == ([], 3, journal.name)
    done = console.run(*words, "--resume", journal.name, "--submit-unknown")
    assert done.returncode == 0, done.stderr
    again = console.run(*words, "--resume", journal.name)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert "3 blob(s) were submitted before" in again.stderr
    assert "sig=" not in journal.read_text()


def test_what_adx_took_and_the_tracker_was_not_told_of_is_said(world: World, console: Console) -> None:
    words = ["submit", "--format", "csv", world.upload("a.csv", GOOD)]
    nowhere = Console({**console.settings, "TRACKER_URL": "http://127.0.0.1:9"}, console.folder)
    untold = nowhere.run(*words)
    assert (untold.returncode, untold.stdout) == (3, "")
    (journal,) = console.folder.glob("tracker-submit-*.jsonl")
    assert "ADX took 1 blob(s) that the tracker was not told of" in untold.stderr
    assert f"the same again with --resume {journal.name} goes on" in untold.stderr
    done = console.run(*words, "--resume", journal.name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in journal.read_text()
    world.start_host()
    assert world.settled(done.stdout.strip())["State"] == "Succeeded"
    assert world.adx.books().rows == 2


def test_an_id_of_several_operations_is_told_apart_by_the_table(world: World, console: Console) -> None:
    host = world.start_host(function_keys={"ada": KEY})
    for table in (world.table, f"{world.table}b"):
        world.post({"operationId": f"same-{world.table}", "database": DATABASE, "table": table})
    eventually(lambda: len(console.json("list", "--id", f"same-{world.table}")["operations"]) == 2)
    for source in (console, console.by_api(host)):
        several = source.run("status", f"same-{world.table}")
        assert (several.returncode, several.stdout) == (2, "")
        assert f"{world.table}b" in several.stderr
        one = source.json("status", f"same-{world.table}", "--table", world.table)
        assert one["operation"]["table"] == world.table


def test_the_command_makes_no_storage_of_its_own(world: World, console: Console) -> None:
    for name in TABLES:
        world.tables.delete_table(name)
    for words in (["list"], ["redrive-messages", world.names["RETRY_QUEUE"], "--yes"], ["track", "x"]):
        done = console.here(*words)
        assert (done.returncode, done.stdout) == (3, ""), done
        assert "Is it the app's storage (IngestionStorage)" in done.stderr
    assert "IngestionRedrives" not in {table.name for table in world.tables.list_tables()}

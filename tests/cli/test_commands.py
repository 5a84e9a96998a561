"""What a person gets wrong, and what answers in the place of a tracker: told in a line, with the right exit status."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from cli.api_source import ApiSource, Credentials
from cli.commands import redrive as redrive_command
from cli.connecting import scope_of
from cli.errors import Refused, SettingsMissing, TrackerError, UnknownOperation, Unreachable
from cli.facts import Named, Wanted
from cli.inputs import Duration, Moment, duration_of
from cli.output import printable
from cli.program import run
from cli.settings import api_root, read_settings
from shared.model import GIVEN_UP_AS
from tests.cli.console import SCRIPT, SECONDS, Console
from tests.support.http_server import Reply, ScriptedServer

SECRET = "s3cr3t-k3y"
ROW = {
    "operationId": "x",
    "cluster": "https://c",
    "database": "d",
    "table": "t",
    "state": "Succeeded",
    "attempt": 1,
    "rootOperationId": "x",
    "registeredAt": "2026-11-26T00:00:00Z",
    "blobs": {"succeeded": 1},
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def alone(tmp_path: Path) -> Console:
    """A command with no settings at all."""
    return Console({}, tmp_path)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TRACKER_URL", "TRACKER_KEY", "IngestionStorage"):
        monkeypatch.delenv(name, raising=False)


SUBMIT = ("submit", "--cluster", "https://ingest-x.kusto.windows.net", "--database", "D", "--table", "T")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["list", "--state", "Gone"], "'Gone' is not one of"),
        (["list", "--since", "yesterday"], "no time such as"),
        (["list", "--since", "1h", "--until", "2h"], "--since is to be before --until"),
        (["list", "--limit", "0"], "0 is not in the range"),
        (["list"], "it is not said where the tracker is"),
        (["status"], "Missing argument 'ID'"),
        (["track"], "no ID is given"),
        (["track", "x", "--format", "csv", "--properties", "{}"], "one of them"),
        (["track", "x", "--properties", "[]"], "--properties is no JSON object"),
        (["track", "--from-file", "nowhere"], "nowhere can't be read"),
        (["watch", "--until-settled", "--from-file", "/dev/null"], "/dev/null has no ID in it"),
        (["watch", "--timeout", "1s"], "--timeout goes with --until-settled"),
        (["watch", "--interval", "soon"], "is no duration"),
        (["redrive", "x", "--only", "Transient"], "'Transient' is not one of"),
        (["redrive-messages", "q", "--most", "0"], "0 is not in the range"),
        (["list", "--settings", "nowhere.json"], "nowhere.json can't be read"),
        (["list", "--url", "http://app.example"], "HTTP is for endpoints on this machine alone"),
        (["list", "--url", f"https://app.example/api?code={SECRET}"], "no key in it"),
        (["list", "--url", "https://app.example", "--key-file", "nowhere"], "nowhere can't be read"),
        (["list", "--since", f"https://a.example/b?sig={SECRET}"], "'https://a.example/b' is no time"),
        (["status", "x", f"https://a.example/b?sig={SECRET}"], "unexpected extra argument (https://a.example/b"),
        (["redrive", "x", "--only", f"sig={SECRET}"], "is not one of"),
        ([*SUBMIT, "--format", "csv"], "one of them"),
        ([*SUBMIT, "--format", "csv", "https://a.example/b", "--container", "https://a.example"], "one of them"),
        ([*SUBMIT, "https://a.example/b"], "--format is missing"),
        ([*SUBMIT, "--format", "csv", "--prefix", "x", "https://a.example/b"], "--prefix goes with --container"),
        ([*SUBMIT, "--format", "csv", "--submit-unknown", "https://a.example/b"], "--submit-unknown goes with"),
        ([*SUBMIT, "--format", "csv", f"a.example/b?sig={SECRET}"], "a.example/b is no URL of a blob"),
        ([*SUBMIT, "--format", "csv", "--container", "https://evil.example/c"], "a login is sent nowhere else"),
        (["submit", "--format", "csv", "https://a.example/b"], "which table is loaded?"),
        (
            ["submit", "--cluster", "x", "--database", "D", "--table", "T", "--format", "csv", "https://a/b"],
            "--cluster:",
        ),
    ],
)
def test_a_mistake_is_told_with_status_2(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in re.sub(r"\s+", " ", err)
    assert SECRET not in err


def test_settings_that_are_wrong_are_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IngestionStorage", f"AccountKey={SECRET}")
    assert run(["list"]) == 2
    err = capsys.readouterr().err
    assert "- IngestionStorage: found a value that is no connection string" in err
    assert "- KUSTO_INGEST_URI: found nothing" in err
    assert SECRET not in err


def test_the_environment_goes_before_a_file_of_settings(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"Values": {"IngestionStorage": "file", "KUSTO_TABLE": "FromFile", "OTHER": "x"}}))
    assert read_settings(None, {"KUSTO_TABLE": "T"}) == {
        "IngestionStorage": "file",
        "KUSTO_TABLE": "T",
        "OTHER": "x",
    }
    # The storage comes from one of the two.
    assert "IngestionStorage" not in read_settings(None, {"IngestionStorage__tableServiceUri": "https://t"})
    for content in ("[]", "no json", '{"Values": {"A": 1}}'):
        file.write_text(content)
        with pytest.raises(SettingsMissing, match=r"local\.settings\.json"):
            read_settings(None, {})


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://app.azurewebsites.net", "https://app.azurewebsites.net/api"),
        ("https://APP.azurewebsites.net/", "https://app.azurewebsites.net/api"),
        ("https://gateway.example/tracker/api", "https://gateway.example/tracker/api"),
        ("http://127.0.0.1:7071", "http://127.0.0.1:7071/api"),
    ],
)
def test_the_root_of_the_api(url: str, root: str) -> None:
    assert api_root(url) == root


def ask(server: ScriptedServer, reply: Reply, what: Callable[[ApiSource], object]) -> TrackerError:
    server.answer(reply)
    with pytest.raises(TrackerError) as error:
        what(ApiSource(f"{server.origin}/api", Credentials(SECRET)))
    assert SECRET not in str(error.value)
    return error.value


def page(source: ApiSource) -> object:
    return source.page(Wanted(), 1)


def problem(status: int, detail: str) -> Reply:
    content = {"type": "about:blank", "title": "T", "status": status, "detail": detail}
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/problem+json"})


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Reply(401), Refused, "TRACKER_KEY"),
        (Reply(403), Refused, "TRACKER_KEY"),
        (Reply(302, headers={"Location": "https://login.example"}), Refused, "--entra"),
        (problem(404, "no operation x is known"), UnknownOperation, "no operation x is known"),
        (Reply(404, b"<html>"), Refused, "is that the tracker's URL?"),
        (
            Reply(404, b'{"detail": "Not Found"}', {"Content-Type": "application/json"}),
            Refused,
            "is that the tracker's URL?",
        ),
        (problem(409, "tell which"), Refused, "tell which"),
        (problem(400, f"not understood: https://a.example/b?sig={SECRET}"), Refused, "not understood"),
        (problem(503, "storage"), Unreachable, "storage"),
        (Reply(500, b"boom"), Unreachable, "500"),
        (Reply(200, b"<html>"), Unreachable, "something else than a tracker"),
        (Reply(200, b'{"operations": [{}]}'), Unreachable, "something else than a tracker"),
        (Reply(200, b"[]"), Unreachable, "something else than a tracker"),
    ],
)
def test_what_the_api_refuses_is_told(
    server: ScriptedServer, reply: Reply, kind: type[TrackerError], said: str
) -> None:
    error = ask(server, reply, page)
    assert type(error) is kind
    assert said in str(error)


def test_the_key_goes_in_a_header_and_nowhere_else(server: ScriptedServer, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login x password y")
    key_file = tmp_path / "key"
    key_file.write_text(f"{SECRET}\n")
    server.answer(Reply(200, b'{"operations": [], "continuationToken": null}'))
    console = Console({"NETRC": str(netrc), "HTTP_PROXY": "http://127.0.0.1:9"}, tmp_path)
    done = console.run("list", "--url", server.origin, "--key-file", str(key_file))
    assert done.returncode == 0, done.stderr
    (request,) = server.received
    assert request.headers["x-functions-key"] == SECRET
    assert request.headers["Authorization"] is None
    assert SECRET not in request.path + done.stdout + done.stderr


@pytest.mark.parametrize("key", [f"{SECRET}\nanother", f"{SECRET}\u20ac", f"{SECRET}\x1b[m"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(key)
    assert run(["list", "--url", "http://127.0.0.1:9", "--key-file", str(key_file)]) == 2
    err = capsys.readouterr().err
    assert f"{key_file} holds no function key" in err
    assert SECRET not in err


def test_where_more_operations_are_can_be_copied(server: ScriptedServer, alone: Console) -> None:
    token = "eyJ2IjoxLCJmIjoiMDEyMzQ1Njc4OWFiY2RlZiIsImEiOiJBQUJCQ0NERDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MCJ9AbCd12"
    server.answer(Reply(200, json.dumps({"operations": [ROW], "continuationToken": token}).encode()))
    done = alone.run("list", "--url", server.origin, "--limit", "1")
    assert f"--after {token}" in done.stderr


def test_a_tracker_that_does_not_answer_is_told_with_status_3(alone: Console) -> None:
    done = alone.run("list", "--url", "http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (3, "")
    assert "http://127.0.0.1:9/api does not answer: no connection" in done.stderr


@pytest.mark.parametrize(
    ("operation_id", "path"),
    [
        ("a;b", "/api/operations/a%3Bb"),
        ("a/b", "/api/operations/-?operationId=a%2Fb"),
        ("a%2Fb", "/api/operations/-?operationId=a%252Fb"),
        ("..", "/api/operations/-?operationId=.."),
    ],
)
def test_any_id_can_be_asked_for(server: ScriptedServer, operation_id: str, path: str) -> None:
    ask(server, problem(404, "none"), lambda source: source.operation(Named(operation_id)))
    assert server.received[0].path == path


def test_a_get_is_sent_again_where_a_gateway_fails(server: ScriptedServer) -> None:
    server.answer(Reply(502), Reply(200, b'{"operations": []}'))
    assert ApiSource(f"{server.origin}/api", Credentials()).page(Wanted(), 1).operations == ()
    assert "no operation" in str(
        ask(server, problem(404, "no operation"), lambda source: source.track({"operationId": "x"}))
    )
    server.answer(Reply(502), Reply(200, b'{"operationId": "x"}'))
    with pytest.raises(Unreachable):
        ApiSource(f"{server.origin}/api", Credentials()).track({"operationId": "x"})


def test_nobody_is_kept_waiting_for_an_hour(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.api_source._LONGEST_WAIT", 0.1)
    server.answer(Reply(429, headers={"Retry-After": "3600"}), Reply(200, b'{"operations": []}'))
    assert ApiSource(f"{server.origin}/api", Credentials()).page(Wanted(), 1).operations == ()


def test_a_live_table_ends_with_ctrl_c(server: ScriptedServer, tmp_path: Path) -> None:
    page_of_none = Reply(200, b'{"operations": [], "continuationToken": null}')
    server.answer(*[page_of_none] * 1000)
    console = Console({"TRACKER_URL": server.origin}, tmp_path)
    with console.start("watch", "--interval", "1s") as process:
        assert process.stderr is not None
        while not server.received:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert err.strip() == "tracker: interrupted"


def test_a_live_table_on_a_terminal_changes_and_ends_with_ctrl_c(server: ScriptedServer, tmp_path: Path) -> None:
    later = {**ROW, "state": "InProgress"}
    server.answer(Reply(200, json.dumps({"operations": [later]}).encode()))
    server.answer(*[Reply(200, json.dumps({"operations": [ROW]}).encode())] * 100)
    console = Console({"TRACKER_URL": server.origin, "TERM": "xterm-256color"}, tmp_path)
    seen = console.on_terminal("watch", "--interval", "1s", until="Succeeded")
    assert "InProgress" in seen
    assert seen.rstrip().endswith("tracker: interrupted")
    assert "Traceback" not in seen


def test_what_is_not_known_yet_is_waited_for_in_a_live_table(server: ScriptedServer, tmp_path: Path) -> None:
    lineage = {"rootOperationId": "x", "operations": []}
    server.answer(problem(404, "no operation x"), Reply(200, json.dumps({**ROW, "lineage": lineage}).encode()))
    server.answer(*[Reply(401)])
    console = Console({"TRACKER_URL": server.origin}, tmp_path)
    done = console.run("watch", "x", "--interval", "1s", "--json")
    assert [json.loads(line)["operation"]["state"] for line in done.stdout.splitlines()] == ["Succeeded"]
    assert done.returncode == 2


def unread(console: Console, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, whose results nobody reads: the reader has gone before it began."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [SCRIPT, *words],
            env=console.env,
            cwd=console.folder,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    finally:
        os.close(writing)


def test_nothing_is_said_when_the_reader_has_gone(server: ScriptedServer, tmp_path: Path) -> None:
    server.answer(Reply(200, json.dumps({"operations": [ROW] * 100}).encode()))
    console = Console({"TRACKER_URL": server.origin}, tmp_path)
    assert unread(console, "list", "--json", "--limit", "100").stderr == ""


def test_a_wait_for_nothing_says_so(server: ScriptedServer, alone: Console) -> None:
    server.answer(Reply(200, b'{"operations": [], "continuationToken": null}'))
    done = alone.run("watch", "--url", server.origin, "--until-settled")
    assert done.returncode == 0
    assert "nothing to wait for" in done.stderr


def test_a_wait_that_nobody_reads_of_is_no_success(server: ScriptedServer, tmp_path: Path) -> None:
    lineage = {"rootOperationId": "x", "operations": []}
    server.answer(Reply(200, json.dumps({**ROW, "lineage": lineage}).encode()))
    console = Console({"TRACKER_URL": server.origin}, tmp_path)
    done = unread(console, "watch", "x", "--until-settled", "--json")
    assert (done.returncode, done.stderr) == (1, "")


def test_texts_from_outside_do_not_reach_the_terminal_as_commands() -> None:
    assert printable("a\x1b[31mb\x07\u202ec\nd") == "a\ufffd[31mb\ufffd\ufffdc\nd"


def test_colours_are_for_a_terminal_whose_owner_wants_them(server: ScriptedServer, tmp_path: Path) -> None:
    server.answer(*[Reply(200, json.dumps({"operations": [ROW]}).encode())] * 3)
    console = Console({"TRACKER_URL": server.origin, "TERM": "xterm-256color"}, tmp_path)
    green = "\x1b[32m"
    assert green in console.on_terminal("list")
    # Bold is no colour: https://no-color.org
    assert green not in Console({**console.settings, "NO_COLOR": "1"}, tmp_path).on_terminal("list")
    assert "\x1b" not in console.run("list").stdout


@pytest.mark.parametrize("columns", [30, 80, 120])
def test_a_narrow_terminal_cuts_no_id_off(server: ScriptedServer, tmp_path: Path, columns: int) -> None:
    operation_id = "00001111;11112222;aad731c8-f616-49be-80f0-43e9924c1900"
    row = {**ROW, "operationId": operation_id, "state": "PartiallySucceeded", "attempt": 2}
    server.answer(Reply(200, json.dumps({"operations": [row]}).encode()))
    console = Console({"TRACKER_URL": server.origin, "TERM": "xterm-256color", "NO_COLOR": "1"}, tmp_path)
    shown = console.on_terminal("list", columns=columns)
    assert operation_id in shown
    assert "PartiallySucceeded #2" in shown


@pytest.mark.parametrize(
    ("audience", "scope"),
    [
        ("5b0e", "api://5b0e/.default"),
        ("api://5b0e", "api://5b0e/.default"),
        ("api://5b0e/.default", "api://5b0e/.default"),
        ("https://tracker.example/", "https://tracker.example/.default"),
    ],
)
def test_the_scope_of_an_application(audience: str, scope: str) -> None:
    assert scope_of(audience) == scope


def test_a_token_goes_in_a_header(server: ScriptedServer) -> None:
    server.answer(Reply(200, b'{"operations": []}'))
    ApiSource(f"{server.origin}/api", Credentials(token=lambda: SECRET)).page(Wanted(), 1)
    assert server.received[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert server.received[0].headers["x-functions-key"] is None


def test_durations_and_times() -> None:
    assert [duration_of(text) for text in ("90s", "2 h", "x", "", "1w")][2:] == [None, None, None]
    duration, moment = Duration(), Moment()
    assert duration.convert("2h", None, None).total_seconds() == 7200
    assert moment.convert("2026-11-26T08:00", None, None).isoformat() == "2026-11-26T08:00:00+00:00"
    assert moment.convert("2026-11-26T08:00+02:00", None, None).isoformat() == "2026-11-26T06:00:00+00:00"
    with pytest.raises(click.BadParameter):
        moment.convert("999999999d", None, None)


def test_a_redrive_takes_what_the_app_gives_up_as() -> None:
    (only,) = [each for each in redrive_command.redrive.params if each.name == "only"]
    assert isinstance(only.type, click.Choice)
    assert tuple(only.type.choices) == GIVEN_UP_AS

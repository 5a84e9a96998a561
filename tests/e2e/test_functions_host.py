"""The local Functions host, with a small app, Azurite and real processes."""

import asyncio
import base64
import gzip
import http.client
import itertools
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from local.azurite import Azurite
from local.functions_host import FunctionsHost, HostFailed
from local.functions_host.keys import Keys
from local.functions_host.protobuf import TypedData
from local.functions_host.settings import (
    SettingsRefused,
    apply_settings,
    read_host_options,
    storage_connection,
    substitute,
)
from local.functions_host.timers import Schedule, TimerListener
from local.functions_host.worker import Function, Worker
from local.processes import Child, ProcessFailed
from tests.support.ports import quiet_port
from tests.support.world import eventually

APP = Path(__file__).parent.parent / "support" / "tiny_app"
# What can only be reached where something is wrong.
DEADLINE_SECONDS = 90.0
# Than what is not waited for.
MUCH_LESS_SECONDS = 60
NEVER = "0 0 0 1 1 *"
EVERY_SECOND = "* * * * * *"
EVERY_MINUTE = "0 * * * * *"
QUEUES = "AzureFunctionsJobHost__extensions__queues__"
HTTP_FUNCTIONS = ["answer", "boom", "by_parameter", "echo", "greet", "item", "owner", "wait"]
KEYS = {"default": "host's", "greet/default": "greet's", "item/default": "item's", "_master": "master"}
WRONG_SETTINGS = "\n".join(["50 app settings to correct.", *(f"- SETTING_{n} is missing" for n in range(50))])


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with Azurite.start() as running:
        yield running


class Tiny:
    """The tiny app with a queue and a journal of its own."""

    def __init__(self, azurite: Azurite, folder: Path, queue: str) -> None:
        self.queue = QueueClient.from_connection_string(azurite.connection_string, queue)
        self.poison = QueueClient.from_connection_string(azurite.connection_string, f"{queue}-poison")
        self.journal = folder / "journal.jsonl"
        self.env = {
            "TinyStorage": azurite.connection_string,
            "TINY_QUEUE": queue,
            "TINY_SCHEDULE": NEVER,
            "TINY_JOURNAL": str(self.journal),
        }

    def events(self, kind: str) -> list[dict[str, Any]]:
        # What follows the last end of a line is not written whole yet.
        *lines, _ = self.journal.read_text().split("\n") if self.journal.exists() else [""]
        return [event for event in map(json.loads, lines) if event["event"] == kind]

    def waiting(self) -> int:
        return self.queue.get_queue_properties().approximate_message_count or 0


@pytest.fixture
def tiny(azurite: Azurite, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Tiny]:
    made = Tiny(azurite, tmp_path, re.sub(r"\W|_", "-", request.node.name)[-50:].strip("-"))
    with made.queue, made.poison:
        yield made


def texts(queue: QueueClient) -> list[str]:
    try:
        return [message.content for message in queue.peek_messages(max_messages=32)]
    except ResourceNotFoundError:
        return []


def test_a_message_reaches_its_function_and_is_deleted(tiny: Tiny) -> None:
    with FunctionsHost.start(tiny.env, APP) as host:
        sent = tiny.queue.send_message('{"n": 1}')
        eventually(lambda: tiny.events("taken"))
        eventually(lambda: tiny.waiting() == 0)
        assert sorted(host.functions) == sorted([*HTTP_FUNCTIONS, "take", "tick"])
        # The extra facts of a log record are shown.
        eventually(lambda: """INFO take took it body="{\\"n\\": 1}" with_space="a b\"""" in host.output())
    (taken,) = tiny.events("take")
    assert (taken["body"], taken["id"], taken["count"], taken["receipt"]) == ('{"n": 1}', sent.id, 1, True)
    assert len(taken["times"]) == 3


def test_a_failure_comes_back_after_the_delay_and_ends_in_poison(tiny: Tiny) -> None:
    text = "fail <&> ü\n two"
    with FunctionsHost.start(tiny.env, APP) as host:
        tiny.queue.send_message(text)
        assert eventually(lambda: texts(tiny.poison)) == [text]
        eventually(lambda: tiny.waiting() == 0)
    output = host.output()
    tries = tiny.events("take")
    assert [attempt["count"] for attempt in tries] == [1, 2, 3]
    assert all(later["at"] - sooner["at"] > 0.9 for sooner, later in itertools.pairwise(tries))
    assert "ERROR take failed: RuntimeError: asked to: fail" in output
    assert "azure_functions_runtime" not in output


def test_base64_is_decoded_and_what_is_not_base64_is_poison(tiny: Tiny) -> None:
    env = tiny.env | {f"{QUEUES}messageEncoding": "base64"}
    with FunctionsHost.start(env, APP):
        tiny.queue.send_message("{not base64}")
        tiny.queue.send_message(base64.b64encode("grüße".encode()).decode())
        assert eventually(lambda: texts(tiny.poison)) == ["{not base64}"]
        eventually(lambda: tiny.events("taken"))
    assert [event["body"] for event in tiny.events("take")] == ["grüße"]


def test_base64_goes_to_poison_as_it_came(tiny: Tiny) -> None:
    sent = base64.b64encode(b"fail").decode()
    env = tiny.env | {f"{QUEUES}messageEncoding": "base64", f"{QUEUES}visibilityTimeout": "00:00:00"}
    with FunctionsHost.start(env, APP):
        tiny.queue.send_message(sent)
        assert eventually(lambda: texts(tiny.poison)) == [sent]
    assert [event["body"] for event in tiny.events("take")] == ["fail"] * 3


def test_a_message_stays_hidden_while_it_is_handled(tiny: Tiny) -> None:
    # Renewed after 6 s: a machine that stands still for some seconds must not make it visible.
    with FunctionsHost.start(tiny.env, APP, invisible_seconds=12):
        tiny.queue.send_message("sleep 13")
        eventually(lambda: tiny.events("taken"))
        eventually(lambda: tiny.waiting() == 0)
    assert len(tiny.events("take")) == 1


def test_a_message_comes_again_after_the_host_was_killed(tiny: Tiny) -> None:
    with FunctionsHost.start(tiny.env, APP, invisible_seconds=2) as first:
        tiny.queue.send_message("once sleep 60")
        eventually(lambda: tiny.events("take"))
        first.kill()
    with FunctionsHost.start(tiny.env, APP):
        eventually(lambda: tiny.events("taken"))
        eventually(lambda: tiny.waiting() == 0)
    assert [event["count"] for event in tiny.events("take")] == [1, 2]


def test_no_more_than_a_batch_and_the_threshold_are_handled_at_once(tiny: Tiny) -> None:
    tiny.queue.create_queue()
    for _ in range(12):
        tiny.queue.send_message("sleep 0.5")
    # Of more threads than the limit, so that it is not they that limit.
    with FunctionsHost.start(tiny.env | {"PYTHON_THREADPOOL_THREAD_COUNT": "32"}, APP):
        eventually(lambda: len(tiny.events("taken")) == 12)
    events = [json.loads(line)["event"] for line in tiny.journal.read_text().splitlines()]
    steps = [{"take": 1, "taken": -1}.get(event, 0) for event in events]
    assert 4 <= max(itertools.accumulate(steps)) <= 6


def test_a_missing_queue_is_waited_for_on_request(tiny: Tiny) -> None:
    with FunctionsHost.start(tiny.env, APP, create_queues=False):
        with pytest.raises(ResourceNotFoundError):
            tiny.queue.get_queue_properties()
        tiny.queue.create_queue()
        tiny.queue.send_message("now")
        eventually(lambda: tiny.events("taken"))


def test_a_timer_never_overlaps_itself(tiny: Tiny) -> None:
    env = tiny.env | {"TINY_SCHEDULE": EVERY_SECOND, "TINY_TICK_SECONDS": "1.2"}
    with FunctionsHost.start(env, APP) as host:
        eventually(lambda: len(tiny.events("tick")) >= 2)
        host.kill()
    runs = tiny.events("tick")
    assert all(sooner["end"] <= later["start"] for sooner, later in itertools.pairwise(runs))
    assert not any(run["past_due"] for run in runs)


class Runs(Worker):
    """Runs that take no real time: each moves the clock by what it is said to last. The last one stops the listener."""

    def __init__(self, began: datetime, lasting: list[timedelta]) -> None:
        super().__init__([], function_timeout=None, names={})
        self.now = began
        self.due: list[datetime] = []
        self.stopping = asyncio.Event()
        self._lasting = lasting

    async def invoke(self, function: Function, data: TypedData, metadata: Mapping[str, TypedData]) -> bool:
        assert (function.name, metadata) == ("tick", {})
        self.due.append(datetime.fromisoformat(json.loads(data.json)["ScheduleStatus"]["Next"]))
        self.now += self._lasting[len(self.due) - 1]
        if len(self.due) == len(self._lasting):
            self.stopping.set()
        return True

    async def listen(self, *, run_on_startup: bool = False, seconds: float = DEADLINE_SECONDS) -> None:
        function = Function(function_id="1", name="tick", trigger={"name": "timer", "runOnStartup": run_on_startup})
        listener = TimerListener(self, function, schedule=Schedule(EVERY_MINUTE), now=lambda: self.now)
        async with asyncio.timeout(seconds):
            await listener.listen(self.stopping)


def test_scheduled_times_missed_while_a_timer_runs_make_one_run_afterwards() -> None:
    just_before = datetime(2027, 1, 1, 12, 0, 59, 990_000, tzinfo=UTC)
    runs = Runs(just_before, [timedelta(minutes=3), timedelta(), timedelta()])
    asyncio.run(runs.listen())
    assert [f"{due:%H:%M:%S}" for due in runs.due] == ["12:01:00", "12:02:00", "12:04:00"]


def test_a_timer_does_not_run_at_the_start() -> None:
    runs = Runs(datetime(2027, 1, 1, 12, 0, 30, tzinfo=UTC), [timedelta()])
    with pytest.raises(TimeoutError):
        asyncio.run(runs.listen(seconds=0.2))
    assert runs.due == []


def test_a_timer_runs_at_the_start_on_request() -> None:
    began = datetime(2027, 1, 1, 12, 0, 30, tzinfo=UTC)
    runs = Runs(began, [timedelta()])
    asyncio.run(runs.listen(run_on_startup=True))
    assert runs.due == [began]


def test_settings_come_from_the_file_unless_the_environment_has_them(tiny: Tiny, azurite: Azurite) -> None:
    env = {name: value for name, value in tiny.env.items() if name != "TINY_QUEUE"}
    with (
        FunctionsHost.start(env, APP),
        QueueClient.from_connection_string(azurite.connection_string, "from-the-file") as queue,
    ):
        queue.send_message("hello")
        eventually(lambda: tiny.events("taken"))


def test_local_settings_json_comes_before_the_sample(tmp_path: Path) -> None:
    for name, value in (("local.settings.json", "own"), ("local.settings.sample.json", "sample")):
        (tmp_path / name).write_text(json.dumps({"Values": {"A": value, "B": value}}))
    environment = {"B": "environment"}
    assert apply_settings(tmp_path, None, environment) == tmp_path / "local.settings.json"
    assert environment == {"A": "own", "B": "environment"}


def test_an_error_at_import_is_told_whole_and_without_a_traceback(tiny: Tiny) -> None:
    with pytest.raises(HostFailed, match="status 1") as failed:
        FunctionsHost.start(tiny.env | {"TINY_IMPORT_ERROR": WRONG_SETTINGS}, APP)
    told = [line.strip() for line in str(failed.value).splitlines()]
    first = next(number for number, line in enumerate(told) if "function_app.py could not be loaded, at " in line)
    assert told[first + 1 :] == f"ValueError: {WRONG_SETTINGS}".splitlines()
    assert "Traceback" not in told


def test_dev_host_tells_an_error_at_import_whole(tiny: Tiny) -> None:
    with dev_host(tiny.env | {"TINY_IMPORT_ERROR": WRONG_SETTINGS}) as child:
        assert child.wait() == 1
        child.stop()
        assert f"ValueError: {WRONG_SETTINGS}\n" in child.stderr()
    assert child.stderr().endswith("./dev host: the Functions host ended with status 1.\n")


def test_a_missing_setting_is_named(tiny: Tiny) -> None:
    with pytest.raises(HostFailed, match="TINY_QUEUE"):
        FunctionsHost.start(tiny.env | {"TINY_QUEUE": ""}, APP)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: storage_connection("TinyStorage", {}), "TinyStorage"),
        (lambda: substitute("%A%-%B%", {"A": "a"}), "B"),
        (lambda: Schedule("every day"), "six fields"),
        (lambda: Schedule("0 0 25 * * *"), "no NCRONTAB expression"),
        (lambda: read_host_options(APP, {f"{QUEUES}batchSize": "33"}), "batchSize"),
        (lambda: read_host_options(APP, {f"{QUEUES}visibilityTimeout": "5"}), "time span"),
        (lambda: Keys.read({"FUNCTIONS_HOST_KEYS": "secret"}), "FUNCTIONS_HOST_KEYS is not JSON"),
        (lambda: Keys.read({"FUNCTIONS_HOST_KEYS": '["secret"]'}), "FUNCTIONS_HOST_KEYS must be an object"),
        (lambda: Keys.read({"FUNCTIONS_HOST_KEYS": '{"default": ""}'}), "FUNCTIONS_HOST_KEYS must be an object"),
    ],
)
def test_a_wrong_setting_is_named(read: Callable[[], object], message: str) -> None:
    with pytest.raises(SettingsRefused, match=message):
        read()


def test_every_setting_between_percent_signs_is_put_in_place() -> None:
    assert substitute("%A%-x-%B%", {"A": "a", "B": "b"}) == "a-x-b"


def test_stopping_lets_a_running_function_end(tiny: Tiny) -> None:
    with FunctionsHost.start(tiny.env, APP, grace_seconds=DEADLINE_SECONDS) as host:
        tiny.queue.send_message("sleep 1")
        eventually(lambda: tiny.events("take"))
        assert host.stop() == 0
    assert len(tiny.events("taken")) == 1
    assert tiny.waiting() == 0


def test_stopping_does_not_wait_longer_than_the_grace(tiny: Tiny) -> None:
    with FunctionsHost.start(tiny.env, APP, grace_seconds=0.2) as host:
        tiny.queue.send_message("sleep 600")
        eventually(lambda: tiny.events("take"))
        began = time.monotonic()
        assert host.stop() == 0
        assert time.monotonic() - began < MUCH_LESS_SECONDS
        assert "stopped while functions ran: take" in host.output()
    assert not _exists(host.pid)


@pytest.fixture(scope="module")
def web(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FunctionsHost]:
    made = Tiny(azurite, tmp_path_factory.mktemp("web"), "web")
    with made.queue, made.poison, FunctionsHost.start(made.env, APP, function_keys=KEYS) as host:
        yield host


def call(
    host: FunctionsHost,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    data: bytes | Iterator[bytes] | None = None,
) -> requests.Response:
    return requests.request(method, f"{host.uri}/{path}", headers=headers, data=data, timeout=DEADLINE_SECONDS)


def seen(response: requests.Response) -> dict[str, Any]:
    """What `echo` or `item` saw of a request."""
    assert response.status_code == 200
    facts: dict[str, Any] = response.json()
    return {**facts, "body": base64.b64decode(facts["body"])}


def test_a_request_reaches_its_function_whole(web: FunctionsHost) -> None:
    target = "/api/echo/a%2Fb/%C3%BC+%26?One=1&one=2&empty=&text=a+b%26%C3%BC"
    body = bytes(range(256))
    port = (web.uri or "").rpartition(":")[2]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=DEADLINE_SECONDS)
    connection.putrequest("PATCH", target)
    headers = (("X-Two", "a"), ("x-two", "b"), ("Content-Type", "image/png"), ("Content-Length", len(body)))
    for name, value in headers:
        connection.putheader(name, str(value))
    connection.endheaders(body)
    facts = json.loads(connection.getresponse().read())
    connection.close()
    assert (facts["method"], facts["url"]) == ("PATCH", f"{web.uri}{target}")
    assert base64.b64decode(facts["body"]) == body
    assert facts["params"] == {"One": "1,2", "text": "a b&ü"}
    assert facts["route"] == {"rest": "a%2Fb/ü+&"}
    assert facts["headers"] == {
        "host": f"127.0.0.1:{port}",
        "accept-encoding": "identity",
        "x-two": "a,b",
        "content-type": "image/png",
        "content-length": "256",
    }


def test_a_body_in_chunks_reaches_its_function(web: FunctionsHost) -> None:
    assert seen(call(web, "POST", "api/echo", data=iter([b"one", b"two"])))["body"] == b"onetwo"


def test_a_compressed_body_reaches_its_function_as_it_came(web: FunctionsHost) -> None:
    body = gzip.compress(b"rows")
    assert seen(call(web, "POST", "api/echo", data=body, headers={"Content-Encoding": "gzip"}))["body"] == body


def test_a_large_body_goes_to_its_function_and_back(web: FunctionsHost) -> None:
    body = os.urandom(3 * 1024 * 1024)
    assert seen(call(web, "POST", "api/echo", data=body))["body"] == body


def test_a_route_gives_its_parameters_and_takes_its_methods(web: FunctionsHost) -> None:
    for method, path, values in (
        ("GET", "api/items/5", {"id": "5"}),
        ("PUT", "API/Items/-5/left%20over/", {"id": "-5", "part": "left over"}),
    ):
        facts = seen(call(web, method, path))
        assert (facts["method"], facts["route"]) == (method, values)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "api/items/5"),
        ("OPTIONS", "api/items/5"),
        ("GET", "api/items/five"),
        ("GET", "api/items/5/a/b"),
        ("GET", "items/5"),
        ("GET", "api/an_item"),
        ("GET", ""),
    ],
)
def test_what_fits_no_route_is_not_found(web: FunctionsHost, method: str, path: str) -> None:
    response = call(web, method, path)
    assert (response.status_code, response.content) == (404, b"")


def test_a_function_without_methods_takes_every_one(web: FunctionsHost) -> None:
    for method in ("GET", "OPTIONS", "DELETE", "PROPFIND"):
        assert seen(call(web, method, "api/echo"))["method"] == method
    head = call(web, "HEAD", "api/echo")
    assert (head.status_code, head.content, head.headers["Content-Type"]) == (200, b"", "application/json")


def test_the_answer_of_a_function_goes_out_as_it_is(web: FunctionsHost) -> None:
    body = bytes(range(256))
    cookies = [
        'a="b c"; Path=/x; Domain=example.org; HttpOnly; Secure; Max-Age=5; SameSite=Strict',
        "d=e; Expires=Tue, 01 Jan 2030 00:00:00 GMT",
    ]
    asked = {
        "status": 418,
        "headers": {"X-Own": "1", "Content-Type": "image/png", "Content-Length": "7"},
        "cookies": cookies,
        "body": base64.b64encode(body).decode(),
    }
    response = call(web, "POST", "api/answer", data=json.dumps(asked).encode())
    assert (response.status_code, response.content) == (418, body)
    assert (response.headers["X-Own"], response.headers["Content-Type"]) == ("1", "image/png")
    assert response.raw.headers.getlist("Set-Cookie") == [
        "a=b%20c; max-age=5; domain=example.org; path=/x; secure; samesite=strict; httponly",
        "d=e; expires=Tue, 01 Jan 2030 00:00:00 GMT",
    ]


def test_an_answer_may_be_a_text_or_a_parameter_or_missing(web: FunctionsHost) -> None:
    text = call(web, "GET", "api/hello?name=Zoë&code=greet's")
    assert (text.status_code, text.text, text.headers["Content-Type"]) == (
        200,
        "grüß dich, Zoë",
        "text/plain; charset=utf-8",
    )
    given = call(web, "GET", "api/by_parameter?set=1")
    assert (given.status_code, given.text) == (201, "set")
    missing = call(web, "GET", "api/by_parameter")
    assert (missing.status_code, missing.content) == (200, b"")


def test_a_failure_is_answered_without_words_and_told_in_the_log(web: FunctionsHost) -> None:
    response = call(web, "GET", "api/boom")
    assert (response.status_code, response.content) == (500, b"")
    eventually(lambda: "ERROR boom failed: RuntimeError: asked to: GET" in web.output())
    eventually(lambda: 'raise RuntimeError(f"asked to: {req.method}")' in web.output())


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [
        ("hello", None, 401),
        ("hello", "", 401),
        ("hello", "wrong", 401),
        ("hello", "host's", 200),
        ("hello", "greet's", 200),
        ("hello", "item's", 401),
        ("hello", "master", 200),
        ("hello?code=host's", None, 200),
        ("hello?Code=host's&code=wrong", None, 200),
        ("hello?code=wrong", None, 401),
        ("hello?code=host's", "wrong", 401),
        ("owner", None, 401),
        ("owner", "host's", 401),
        ("owner", "master", 200),
        ("echo", None, 200),
        ("echo", "wrong", 200),
    ],
)
def test_a_key_opens_what_it_is_for(web: FunctionsHost, path: str, header: str | None, status: int) -> None:
    response = call(web, "GET", f"api/{path}", headers={} if header is None else {"x-functions-key": header})
    assert response.status_code == status
    assert (response.content == b"") == (status == 401)


def test_without_keys_every_function_is_open_and_host_json_has_the_prefix(tiny: Tiny) -> None:
    prefix = {"AzureFunctionsJobHost__extensions__http__routePrefix": ""}
    disabled = {"AzureWebJobs.echo.Disabled": "true"}
    with FunctionsHost.start({**tiny.env, **prefix, **disabled}, APP) as host:
        statuses = {path: call(host, "GET", path).status_code for path in ("hello", "owner", "api/hello", "echo")}
        assert statuses == {"hello": 200, "owner": 200, "api/hello": 404, "echo": 404}
        assert "echo" not in host.functions


def test_requests_messages_and_ticks_do_not_wait_for_each_other(tiny: Tiny, tmp_path: Path) -> None:
    env = tiny.env | {"PYTHON_THREADPOOL_THREAD_COUNT": "8", "TINY_SCHEDULE": EVERY_SECOND}
    file = tmp_path / "go"
    with FunctionsHost.start(env, APP) as host, ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(call, host, "GET", f"api/wait?file={file}") for _ in range(4)]
        eventually(lambda: len(tiny.events("wait")) == 4)
        tiny.queue.send_message("hello")
        eventually(lambda: tiny.events("taken") and tiny.events("tick"))
        assert call(host, "GET", "api/hello?name=x").text == "grüß dich, x"
        assert tiny.events("waited") == []
        file.touch()
        assert [answer.result().text for answer in waiting] == ["done"] * 4


def test_stopping_closes_the_port_and_lets_a_request_end(tiny: Tiny, tmp_path: Path) -> None:
    file = tmp_path / "go"
    with (
        FunctionsHost.start(tiny.env, APP, grace_seconds=DEADLINE_SECONDS) as host,
        ThreadPoolExecutor(2) as threads,
    ):
        waiting = threads.submit(call, host, "GET", f"api/wait?file={file}")
        eventually(lambda: tiny.events("wait"))
        stopped = threads.submit(host.stop)
        eventually(lambda: not listening(host.pid))
        assert host.running()
        file.touch()
        assert waiting.result().text == "done"
        assert stopped.result() == 0


def test_stopping_does_not_wait_for_a_request_longer_than_the_grace(tiny: Tiny, tmp_path: Path) -> None:
    with FunctionsHost.start(tiny.env, APP, grace_seconds=0.2) as host, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(call, host, "GET", f"api/wait?file={tmp_path / 'never'}")
        eventually(lambda: tiny.events("wait"))
        began = time.monotonic()
        assert host.stop() == 0
        assert time.monotonic() - began < MUCH_LESS_SECONDS
        assert "stopped while functions ran: wait" in host.output()
        assert isinstance(waiting.exception(), requests.ConnectionError)


def test_http_is_taken_on_loopback_alone(web: FunctionsHost) -> None:
    (address,) = listening(web.pid)
    assert address.startswith("127.0.0.1:")
    assert web.uri == f"http://{address}"


def test_nothing_listens_without_an_http_function(tiny: Tiny) -> None:
    disabled = {f"AzureWebJobs.{name}.Disabled": "1" for name in HTTP_FUNCTIONS}
    with FunctionsHost.start(tiny.env | disabled, APP) as host:
        assert (host.functions, host.uri, listening(host.pid)) == (["take", "tick"], None, [])


def test_a_port_that_is_taken_is_named(tiny: Tiny) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HostFailed, match=f"the port {port} of 127.0.0.1 can't be used"):
            FunctionsHost.start(tiny.env, APP, http_port=port)


def test_a_binding_that_is_not_imitated_is_named(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\n"
        "app = func.FunctionApp()\n"
        "@app.route()\n"
        "@app.queue_output(arg_name='out', queue_name='q', connection='c')\n"
        "def f(req: func.HttpRequest, out: func.Out[str]) -> str:\n"
        "    return ''\n"
    )
    with pytest.raises(HostFailed, match="the function f has bindings that are not imitated here: queue"):
        FunctionsHost.start({}, tmp_path)


def test_dev_host_takes_the_port_or_else_a_free_one(tiny: Tiny) -> None:
    port = quiet_port()
    with socket.create_server(("127.0.0.1", port)):
        assert said_port(tiny.env, port) not in {port, 0}
    assert said_port(tiny.env, port) == port


def said_port(env: Mapping[str, str], http_port: int) -> int:
    """Where `./dev host` says that HTTP functions are, once they answer."""
    with dev_host(env, http_port=http_port) as child:
        (uri,) = eventually(lambda: re.findall(r"^HTTP +(http://127\.0\.0\.1:\d+)$", child.stderr(), re.MULTILINE))
        assert requests.get(f"{uri}/api/hello", timeout=DEADLINE_SECONDS).status_code == 200
        return int(uri.rpartition(":")[2])


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_dev_host(tiny: Tiny, ending: signal.Signals) -> None:
    with dev_host(tiny.env) as child:
        eventually(lambda: "Ctrl-C stops everything" in child.stderr())
        (imported,) = tiny.events("import")
        assert _exists(imported["pid"])
        child.process.send_signal(ending)
        assert child.process.wait(DEADLINE_SECONDS) == (-ending if ending == signal.SIGKILL else 0)
        eventually(lambda: not _exists(imported["pid"]))


def test_a_host_that_hangs_in_the_import_ends_with_its_parent(tiny: Tiny) -> None:
    with dev_host(tiny.env | {"TINY_IMPORT_SECONDS": "600"}) as child:
        (imported,) = eventually(lambda: tiny.events("import"))
        child.process.kill()
        eventually(lambda: not _exists(imported["pid"]))


@pytest.mark.parametrize("end", [Child.stop, Child.kill, Child.wait])
def test_what_a_child_left_in_its_session_ends_with_it(end: Callable[[Child], int]) -> None:
    program = (
        "import subprocess, sys\n"
        "print(subprocess.Popen(['sleep', '600']).pid, flush=True)\n"
        "sys.stdin.read() if sys.argv[1] != 'wait' else None"
    )
    with Child([sys.executable, "-c", program, end.__name__], name="a parent") as child:
        pid = child.wait_until(lambda lines: int(lines[0]) if lines else None, seconds=DEADLINE_SECONDS)
        end(child)
        eventually(lambda: not _exists(pid))


def test_a_child_that_says_nonsense_is_not_left_running() -> None:
    program = "import time; print('?', flush=True); time.sleep(600)"
    with Child([sys.executable, "-c", program], name="a babbler") as child:
        with pytest.raises(ValueError, match="invalid literal"):
            child.wait_until(lambda lines: int(lines[0]) if lines else None, seconds=DEADLINE_SECONDS)
        assert child.process.returncode == -signal.SIGKILL


def test_a_child_that_stays_silent_is_not_left_running() -> None:
    with Child(["sleep", "600"], name="a sleeper") as child:
        with pytest.raises(ProcessFailed, match=r"a sleeper was not ready after 0\.1 s\.$"):
            child.wait_until(lambda lines: lines or None, seconds=0.1)
        assert child.process.returncode == -signal.SIGKILL


@contextmanager
def dev_host(env: Mapping[str, str], *, http_port: int = 0) -> Iterator[Child]:
    """`./dev host` for the tiny app."""
    command = [sys.executable, "-m", "local.host", "--app", str(APP), "--http-port", str(http_port)]
    with Child(command, name="./dev host", env={**os.environ, **env}) as child:
        yield child


def listening(pid: int) -> list[str]:
    """The addresses at which a process takes TCP connections."""
    # The fourth field of a line is the state, 0A to listen; the tenth is the inode that the descriptor links to.
    tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines() for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table]
    local = {f"socket:[{line[9]}]": line[1] for line in lines if line[3] == "0A"}
    links = [_link(descriptor) for descriptor in Path(f"/proc/{pid}/fd").iterdir()]
    return [_address(local[link]) for link in links if link in local]


def _link(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return "closed meanwhile"


def _address(text: str) -> str:
    """Reads an address of /proc: the IP in words of the machine's order, then the port."""
    ip, port = text.split(":")
    words = [int(ip[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(ip), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return f"{socket.inet_ntop(family, b''.join(words))}:{int(port, 16)}"


def _exists(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for yet does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from azure.core.exceptions import AzureError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite, connection_string
from local.azurite.installation import ensure_installed
from local.azurite.service import QUIET_SECONDS
from local.processes import REPOSITORY, ProcessFailed
from tests.support.ports import quiet_port

DEADLINE_SECONDS = 60.0


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with Azurite.start() as running:
        yield running


def test_its_three_services_work_with_the_connection_string(azurite: Azurite) -> None:
    with (
        BlobServiceClient.from_connection_string(azurite.connection_string) as blobs,
        QueueServiceClient.from_connection_string(azurite.connection_string) as queues,
        TableServiceClient.from_connection_string(azurite.connection_string) as tables,
    ):
        assert blobs.create_container("box").container_name == "box"
        assert queues.create_queue("line").queue_name == "line"
        assert tables.create_table("rows").table_name == "rows"
        assert blobs.url.rstrip("/") == azurite.blob_endpoint
        assert queues.url.rstrip("/") == azurite.queue_endpoint
        assert tables.url.rstrip("/") == azurite.table_endpoint


def test_a_connection_that_is_quiet_stays_open(azurite: Azurite) -> None:
    for port in azurite.ports:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)) as connection:
            connection.request("GET", "/")
            assert connection.getresponse().getheader("Keep-Alive") == f"timeout={QUIET_SECONDS}"


def test_the_default_connection_string_is_that_of_the_documentation() -> None:
    assert "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;" in connection_string()


def test_taken_ports_are_an_error_that_says_so(azurite: Azurite) -> None:
    with pytest.raises(ProcessFailed, match="EADDRINUSE"):
        Azurite.start(ports=azurite.ports)


def test_a_second_one_runs_beside_it_and_is_gone_after_stop(azurite: Azurite) -> None:
    # Free ones are free for anybody again once it is gone.
    ports = quiet_port(), quiet_port(), quiet_port()
    with Azurite.start(ports=ports) as other:
        assert other.ports == ports
    assert not any(_listens(port) for port in other.ports)
    assert all(_listens(port) for port in azurite.ports)
    with (
        QueueServiceClient.from_connection_string(other.connection_string, retry_total=0) as queues,
        pytest.raises(AzureError),
    ):
        queues.create_queue("late")


def test_it_is_gone_after_its_parent_was_killed() -> None:
    program = (
        "import time; from local.azurite import Azurite; print(*Azurite.start().ports, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        ports = [int(port) for port in parent.stdout.readline().split()]
        assert all(_listens(port) for port in ports)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while any(_listens(port) for port in ports):
        assert time.monotonic() < deadline, "Azurite outlived its parent"
        time.sleep(0.05)


def test_it_is_installed_only_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert ensure_installed() == ensure_installed()
    assert "installing" not in capfd.readouterr().err


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""Starts Azurite and waits for its three services."""

import http.client
import re
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from local.azurite.installation import HERE, ensure_installed
from local.npm_packages import NODE
from local.processes import Child

HOST = "127.0.0.1"
DEFAULT_PORTS = (10000, 10001, 10002)
ACCOUNT = "devstoreaccount1"
# The key of every emulator, printed in its manual: no secret.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SERVICES = ("Blob", "Queue", "Table")
LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at http://[^:]+:(\d+)")
# After five, as by default, it closes some connections at the very moment at which a request comes on them, which is
# lost: the SDKs send no POST of a table again.
QUIET_SECONDS = 24 * 3600
START_SECONDS = 60.0
ANSWER_SECONDS = 60.0

type Ports = tuple[int, int, int]


def connection_string(ports: Ports = DEFAULT_PORTS) -> str:
    """Returns the connection string of an Azurite on these ports.

    Args:
        ports: Those of blob, queue and table.

    Returns:
        The full string with account, key and the three endpoints.
    """
    endpoints = "".join(f"{service}Endpoint={_endpoint(port)};" for service, port in zip(SERVICES, ports, strict=True))
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoints}"


class Azurite:
    """A running Azurite.

    Attributes:
        ports: Those of blob, queue and table.
    """

    def __init__(self, child: Child, ports: Ports) -> None:
        self._child = child
        self.ports = ports

    @classmethod
    def start(cls, *, ports: Ports | None = None) -> Self:
        """Starts it, installing it before if need be.

        Args:
            ports: Those of blob, queue and table; free ones when None.

        Returns:
            The running service, whose three endpoints answer.

        Raises:
            ProcessFailed: It could not be installed, ended, or was not ready in time.
        """
        program = ensure_installed()
        wanted = ports or (0, 0, 0)
        command = [str(NODE), "--require", str(HERE / "exit_with_parent.cjs"), str(program)]
        command += ["--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
        for service, port in zip(SERVICES, wanted, strict=True):
            name = service.lower()
            command += [f"--{name}Host", HOST, f"--{name}Port", str(port)]
            command += [f"--{name}KeepAliveTimeout", str(QUIET_SECONDS)]
        child = Child(command, name="Azurite", cwd=program.parent)
        listening = child.wait_until(_listening, seconds=START_SECONDS)
        try:
            for port in listening:
                _expect_answer(port)
        except BaseException:
            child.kill()
            raise
        return cls(child, listening)

    @property
    def connection_string(self) -> str:
        """The full connection string, for any client of the storage SDKs."""
        return connection_string(self.ports)

    @property
    def blob_endpoint(self) -> str:
        """The blob service's address, with the account."""
        return _endpoint(self.ports[0])

    @property
    def queue_endpoint(self) -> str:
        """The queue service's address, with the account."""
        return _endpoint(self.ports[1])

    @property
    def table_endpoint(self) -> str:
        """The table service's address, with the account."""
        return _endpoint(self.ports[2])

    def stop(self) -> None:
        """Stops it; everything stored is gone."""
        self._child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def _endpoint(port: int) -> str:
    return f"http://{HOST}:{port}/{ACCOUNT}"


def _listening(lines: Sequence[str]) -> Ports | None:
    found = {match[1]: int(match[2]) for line in lines if (match := LISTENING.search(line))}
    if not found.keys() >= set(SERVICES):
        return None
    return found["Blob"], found["Queue"], found["Table"]


def _expect_answer(port: int) -> None:
    """Asks for anything: any answer, a refusal too, is one."""
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    finally:
        connection.close()

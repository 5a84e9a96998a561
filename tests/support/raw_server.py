"""A server on loopback that does with each connection what a test says, for what no well-behaved server does."""

import contextlib
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

type Serve = Callable[["Connection"], object]


class Connection:
    """One accepted connection; ``stopping`` is set at the server's end."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self.socket = sock
        self._stopping = stopping

    def read_request(self) -> bytes:
        """A request, or what comes of one to the end of the connection."""
        request = b""
        while b"\r\n\r\n" not in request and (part := self.socket.recv(65536)):
            request += part
        head, _, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: ([0-9]+)", head, re.IGNORECASE)
        left = int(length[1]) - len(body) if length else 0
        # A connection that is closed with something unread is reset, and what was sent over it is lost.
        while left > 0 and (part := self.socket.recv(65536)):
            request += part
            left -= len(part)
        return request

    def trickle(self, content: bytes, pause: float = 0.02) -> None:
        """Send a byte now and then."""
        for byte in content:
            self.socket.sendall(bytes([byte]))
            if self._stopping.wait(pause):
                return

    def pause(self, seconds: float) -> None:
        """Do nothing for a while."""
        self._stopping.wait(seconds)

    def hold(self) -> None:
        """Do nothing, with the connection open."""
        self._stopping.wait(60)


class RawServer:
    """Runs ``serve`` with each connection, in a thread of its own."""

    def __init__(self, serve: Serve, tls: ssl.SSLContext | None = None) -> None:
        self.accepted = 0
        self._serve = serve
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    @property
    def origin(self) -> str:
        """Its address."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(OSError):
                accepted, _ = self._listening.accept()
                self.accepted += 1
                thread = threading.Thread(target=self._handle, args=(accepted,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _handle(self, accepted: socket.socket) -> None:
        # A client that hangs up is what some tests are about.
        with contextlib.suppress(OSError), contextlib.closing(accepted):
            accepted.settimeout(30)
            sock = self._tls.wrap_socket(accepted, server_side=True) if self._tls else accepted
            with contextlib.closing(sock):
                self._serve(Connection(sock, self._stopping))

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(5)


def make_certificate(folder: Path, *hosts: str) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 and some hosts that nobody vouches for but itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *map(x509.DNSName, hosts)]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "certificate.pem", folder / "key.pem"
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return file, context

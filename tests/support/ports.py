"""Ports for what a test starts itself, once it has looked at them or after others have used them."""

import random
import socket
from pathlib import Path

_FIRST = 15_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()


def quiet_port() -> int:
    """A free port of loopback that the system gives to nobody who asks for any: it stays free until it is asked for.

    That is one below those of its own choice, which clients' connections have too. Where it chooses from nearly all,
    it is any, which stays free as a rule.
    """
    beyond = max(int(_RANGE.read_text().split()[0]), _FIRST + 500)
    while True:
        port = random.randrange(_FIRST, beyond)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port

"""Azurite, the storage emulator: blobs, queues and tables on loopback, in memory, gone when it stops.

    with Azurite.start() as storage:
        TableServiceClient.from_connection_string(storage.connection_string)

`Azurite.start(*, ports: tuple[int, int, int] | None = None) -> Azurite` installs it at first use, and returns once all
three services answer; `ports` are those of blob, queue and table, and free ones are taken without it. It gives
`.connection_string`, `.blob_endpoint`, `.queue_endpoint`, `.table_endpoint`, `.ports` and `.stop()`, and is a context
manager. It ends with the process that started it. `DEFAULT_PORTS` is what `UseDevelopmentStorage=true` means, and
`connection_string(ports)` writes that out.
"""

from local.azurite.service import ACCOUNT, DEFAULT_PORTS, KEY, Azurite, connection_string

__all__ = ["ACCOUNT", "DEFAULT_PORTS", "KEY", "Azurite", "connection_string"]

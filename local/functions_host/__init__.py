"""A Functions host for one machine: runs a `function_app.py` as Azure does, without Core Tools.

    with FunctionsHost.start({"IngestionStorage": storage.connection_string}) as host:
        ...
        host.output()

The functions are found and called by `azure-functions-runtime`, the library inside Azure's own Python worker. What the
host does around it there is done here: settings and `host.json` with its overrides from the environment, `%SETTING%`,
queue triggers (hidden and renewed while handled, `dequeueCount`, delay after a failure, `<queue>-poison`, batches), and
timer triggers (NCRONTAB in UTC, never two runs at once, one run to catch up).

`FunctionsHost.start(env, app=None, *, settings=None, log_level="info", max_polling_interval=0.2, invisible_seconds=600,
grace_seconds=5.0, start_seconds=60.0, create_queues=True, show_output=False) -> FunctionsHost` returns once it listens.
It has `.functions`, `.pid`, `.output()` (its log so far), `.running()`, `.wait()`, `.stop()`, `.kill()`, and is a
context manager. `HostFailed` carries the reason when it does not start. From a shell: `python -m local.functions_host`.

Not imitated: scaling and several instances, leases and singleton locks in blobs, schedule monitors that remember a
timer across restarts, HTTP and other triggers, output bindings, retry policies, identity-based connections, telemetry,
restarts after a change of files, and `logging` and `concurrency` in host.json. An invocation that exceeds
`functionTimeout` is reported, not ended. One more difference is
on purpose: a trigger's missing queue is created, while the real host waits for somebody to create it, which
`create_queues=False` does too.
"""

from local.functions_host.process import FunctionsHost
from local.processes import ProcessFailed as HostFailed

__all__ = ["FunctionsHost", "HostFailed"]

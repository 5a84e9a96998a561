"""A Functions host for one machine: runs a `function_app.py` as Azure does, without Core Tools.

    with FunctionsHost.start({"IngestionStorage": storage.connection_string}) as host:
        ...
        host.output()

The functions are found and called by `azure-functions-runtime`, the library inside Azure's own Python worker. What the
host does around it there is done here: settings and `host.json` with its overrides from the environment, `%SETTING%`,
queue triggers (hidden and renewed while handled, `dequeueCount`, delay after a failure, `<queue>-poison`, batches),
timer triggers (NCRONTAB in UTC, never two runs at once, one run to catch up), and HTTP triggers (routes with their
prefix, parameters and constraints, methods, keys by auth level), on 127.0.0.1 alone.

`FunctionsHost.start(env, app=None, *, settings=None, log_level="info", max_polling_interval=0.2, invisible_seconds=600,
grace_seconds=5.0, start_seconds=60.0, create_queues=True, http_port=0, function_keys=None, show_output=False) ->
FunctionsHost` returns once it listens. It has `.functions`, `.uri` (None without an HTTP function), `.pid`, `.output()`
(its log so far), `.running()`, `.wait()`, `.stop()`, `.kill()`, and is a context manager. `HostFailed` carries the
reason when it does not start. From a shell: `python -m local.functions_host`.

Keys are asked for only when the setting `FUNCTIONS_HOST_KEYS`, or `function_keys`, names some, as in
`{"default": "…", "_master": "…", "my_function/default": "…"}`; without, every function is open, as with Core Tools.

Not imitated: scaling and several instances, leases and singleton locks in blobs, schedule monitors that remember a
timer across restarts, other triggers, output bindings but an HTTP response, retry policies, identity-based connections,
telemetry, restarts after a change of files, and `logging` and `concurrency` in host.json. An invocation that exceeds
`functionTimeout` is reported, not ended. One more difference is on purpose: a trigger's missing queue is created, while
the real host waits for somebody to create it, which `create_queues=False` does too.

Not imitated of HTTP: what `local.functions_host.routes` names; `extensions.http` in host.json but `routePrefix`; the
home page, `/admin`, CORS, logins of App Service, streams (FastAPI types), and TLS; the master key does not open a
disabled function. A body may be of any size and come in chunks: Azure refuses more than 100 MB, and its host alone,
without a front end, hands over a body without a length as an empty one. A `str` that a function returns is sent as it
is; Azure lays out again what is JSON in it. A response's length is that of its body, whatever the function says.
"""

from local.functions_host.process import FunctionsHost
from local.processes import ProcessFailed as HostFailed

__all__ = ["FunctionsHost", "HostFailed"]

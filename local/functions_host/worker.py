"""Finds and calls the functions of an app through `azure-functions-runtime`."""

import asyncio
import json
import logging
import re
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure_functions_runtime as runtime

from local.functions_host.protobuf import ParameterBinding, Protos, Record, StatusResult, TypedData

LOG = logging.getLogger(__name__)
MACHINERY = ("azure_functions_runtime", "concurrent/futures/thread.py")
FRAME = re.compile(r'File "(?P<path>[^"]+)", line (?P<line>\d+)')


class AppRefused(RuntimeError):
    """The app could not be loaded."""


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function of the app and its trigger, as `function.json` would hold it."""

    function_id: str
    name: str
    trigger: Mapping[str, Any]


class Worker:
    """The loaded app.

    Attributes:
        functions: What it consists of.
        names: The function of each running invocation, for the log.
    """

    def __init__(self, functions: list[Function], *, function_timeout: float | None, names: dict[str, str]) -> None:
        self.functions = functions
        self.names = names
        self._function_timeout = function_timeout

    @classmethod
    async def load(cls, app: Path, *, function_timeout: float | None, names: dict[str, str]) -> "Worker":
        """Imports `function_app.py` and finds its functions.

        Args:
            app: The folder.
            function_timeout: Seconds after which a running function is reported.
            names: Filled with the function of each running invocation.

        Returns:
            The worker.

        Raises:
            AppRefused: The import failed, or it holds no function.
        """
        if not (app / "function_app.py").is_file():
            raise AppRefused(f"{app / 'function_app.py'} is missing")
        sys.path.insert(0, str(app))
        init = Record(capabilities={}, function_app_directory=str(app))
        answer = await runtime.worker_init_request(_request(worker_init_request=init))
        if answer.result.status != StatusResult.Success:
            raise AppRefused(_import_error(answer.result.exception, app))
        answer = await runtime.functions_metadata_request(_request(functions_metadata_request=Record()))
        functions = [_function(metadata) for metadata in answer.function_metadata_results or []]
        if not functions:
            raise AppRefused(f"{app / 'function_app.py'} holds no function")
        runtime.start_threadpool_executor()
        return cls(functions, function_timeout=function_timeout, names=names)

    async def invoke(self, function: Function, data: TypedData, metadata: Mapping[str, TypedData]) -> bool:
        """Calls a function that answers nothing.

        Args:
            function: Which.
            data: What its trigger parameter is made from.
            metadata: The trigger's metadata.

        Returns:
            Whether it succeeded.
        """
        return await self.call(function, data, metadata) is not None

    async def call(self, function: Function, data: TypedData, metadata: Mapping[str, TypedData]) -> Record | None:
        """Calls a function and reports its failure in the log.

        Args:
            function: Which.
            data: What its trigger parameter is made from.
            metadata: The trigger's metadata.

        Returns:
            What the library says of it, or None when it failed.
        """
        invocation_id = str(uuid.uuid4())
        self.names[invocation_id] = function.name
        # The library sets this for functions that run in threads only.
        runtime.invocation_id_cv.set(invocation_id)
        call = Record(
            invocation_id=invocation_id,
            function_id=function.function_id,
            input_data=[ParameterBinding(name=function.trigger["name"], data=data)],
            trigger_metadata=metadata,
            trace_context=Record(trace_parent="", trace_state="", attributes={}),
            retry_context=Record(retry_count=0, max_retry_count=0, exception=None),
        )
        running = asyncio.ensure_future(runtime.invocation_request(_request(invocation_request=call)))
        try:
            done, _ = await asyncio.wait({running}, timeout=self._function_timeout)
            if not done:
                LOG.error("runs longer than functionTimeout (%s s); Azure would end it now", self._function_timeout)
            answer: Record = await running
            if answer.result.status == StatusResult.Success:
                return answer
            exception = answer.result.exception
            LOG.error("failed: %s\n%s", exception.message, _own_frames(exception.stack_trace))
            return None
        finally:
            del self.names[invocation_id]


def _request(**kind: Record) -> Record:
    return Record(request=Record(**kind), properties={"host": "127.0.0.1", "protos": Protos})


def _function(metadata: Record) -> Function:
    bindings = [json.loads(raw) for raw in metadata.raw_bindings]
    triggers = [binding for binding in bindings if str(binding["type"]).lower().endswith("trigger")]
    if len(triggers) != 1:
        raise AppRefused(f"the function {metadata.name} must have one trigger, and has {len(triggers)}")
    others = [str(binding["type"]) for binding in bindings if binding is not triggers[0] and binding["type"] != "http"]
    if others:
        raise AppRefused(f"the function {metadata.name} has bindings that are not imitated here: {', '.join(others)}")
    return Function(function_id=metadata.function_id, name=metadata.name, trigger=triggers[0])


def _import_error(exception: Record, app: Path) -> str:
    """Returns where it arose and the app's own message, of any length: the trace is mostly the library's."""
    # The library appends a page of advice and sys.path to a missing module.
    message = str(exception.message).split(". Cannot find module. ", maxsplit=1)[0]
    frames = [match for match in FRAME.finditer(exception.stack_trace) if _is_of_app(Path(match["path"]), app)]
    where = f", at {frames[-1]['path']}:{frames[-1]['line']}" if frames else ""
    return f"function_app.py could not be loaded{where}:\n{message}"


def _is_of_app(path: Path, app: Path) -> bool:
    return path.is_relative_to(app) and "site-packages" not in path.parts


def _own_frames(stack_trace: str) -> str:
    """Leaves the frames that called the function out of a trace."""
    kept = []
    skipping = False
    for line in stack_trace.rstrip().splitlines():
        if line.startswith('  File "'):
            skipping = any(part in line for part in MACHINERY)
        elif not line.startswith("    "):
            skipping = False
        if not skipping:
            kept.append(line)
    return "\n".join(kept)

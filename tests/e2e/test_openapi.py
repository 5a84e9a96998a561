"""What the OpenAPI document says is true: schemathesis asks for all that it promises, and for much that it does not."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from local.adx_simulator import AdxSimulator, BlobFault
from local.azurite import Azurite
from local.functions_host import FunctionsHost
from tests.support.world import World, eventually, make_world

HERE = Path(__file__).parent / "schemathesis"
KEY = "a-function-key-of-this-test"
HEADERS = {"x-functions-key": KEY}
FATES: dict[str, BlobFault] = {
    "bad": BlobFault(kind="permanent", url_contains="/bad"),
    "flaky": BlobFault(kind="transient", url_contains="flaky", submissions=2),
    "stuck": BlobFault(kind="stuck", url_contains="stuck"),
    "canceled": BlobFault(kind="canceled", url_contains="canceled"),
}


@pytest.fixture(scope="module")
def known(storage: Azurite, adx: AdxSimulator) -> Iterator[tuple[World, FunctionsHost, list[str]]]:
    """The app with operations in every state, and their IDs."""
    adx.set_faults(list(FATES.values()))
    # Without grace a poll that is quicker than ADX would end any of them as NotFound.
    adx.configure(visible_after_seconds=0)
    with make_world(storage, adx, NOT_FOUND_GRACE_MINUTES="0") as world:
        host = world.start_host(function_keys={"ada": KEY})
        ids = [world.submit_and_post([world.upload(f"{fate}.csv", fate.encode())]) for fate in ("good", *FATES)]
        both = [world.upload(f"{fate}-too.csv", f"{fate} too".encode()) for fate in ("good", "bad")]
        ids.append(world.submit_and_post(both))
        world.post("never-submitted")
        eventually(lambda: len({row["State"] for row in world.operations()}) == 6, "operations in every state")
        eventually(lambda: len(world.operations()) == len(ids) + 3, "the resubmissions")
        yield world, host, [*ids, "never-submitted"]


def schemathesis(
    known: tuple[World, FunctionsHost, list[str]], tmp_path: Path, *words: str, lie: Callable[[Any], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it on the document, or on one that a lie was put into."""
    world, host, ids = known
    document = requests.get(f"{host.uri}/api/openapi.json", headers=HEADERS, timeout=90).json()
    if lie:
        lie(document)
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(HERE / "schemathesis.toml")]
    command += ["run", str(path), "--url", f"{host.uri}/api", "-H", f"x-functions-key: {KEY}", "--no-color", *words]
    env = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "hooks",
        "PYTHONPATH": str(HERE),
        "TRACKER_OPERATIONS": ",".join(ids),
        "TRACKER_QUEUES": ",".join(world.names.values()),
    }
    return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=500)


def test_schemathesis_finds_nothing(known: tuple[World, FunctionsHost, list[str]], tmp_path: Path) -> None:
    done = schemathesis(known, tmp_path)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    assert "10 selected / 10 total" in done.stdout
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in done.stdout
    assert "function.failed" not in known[1].output()


def _without_404(document: Any) -> None:  # noqa: ANN401, JSON
    del document["paths"]["/operations/{operationId}"]["get"]["responses"]["404"]


def _without_a_field(document: Any) -> None:  # noqa: ANN401, JSON
    del document["components"]["schemas"]["Operation"]["properties"]["polls"]
    document["components"]["schemas"]["Operation"]["required"].remove("polls")


def _with_a_header(document: Any) -> None:  # noqa: ANN401, JSON
    headers = document["paths"]["/error-codes"]["get"]["responses"]["200"]["headers"]
    headers["ETag"] = {"required": True, "schema": {"type": "string"}}


def _with_a_wider_limit(document: Any) -> None:  # noqa: ANN401, JSON
    parameters = document["paths"]["/operations"]["get"]["parameters"]
    next(each for each in parameters if each["name"] == "limit")["schema"]["maximum"] = 1000


def _with_an_open_door(document: Any) -> None:  # noqa: ANN401, JSON
    document["components"]["schemas"]["MessagesRedrive"]["additionalProperties"] = True


@pytest.mark.parametrize(
    ("lie", "operation", "said"),
    [
        (_without_404, "get_operation", "Undocumented status code"),
        (_without_a_field, "list_operations", "Response violates schema"),
        (_with_a_header, "list_error_codes", "Missing required response headers"),
        (_with_a_wider_limit, "list_operations", "Schema-valid request rejected"),
        (_with_an_open_door, "redrive_messages", "Schema-valid request rejected"),
    ],
)
def test_a_document_that_lies_is_found_out(
    known: tuple[World, FunctionsHost, list[str]],
    tmp_path: Path,
    lie: Callable[[Any], None],
    operation: str,
    said: str,
) -> None:
    words = ("--include-operation-id", operation, "--phases", "examples,coverage,fuzzing", "-n", "15", "--no-shrink")
    done = schemathesis(known, tmp_path, *words, lie=lie)
    assert done.returncode == 1, done.stdout[-4000:] + done.stderr
    assert said in done.stdout

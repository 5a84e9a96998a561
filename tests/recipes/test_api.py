"""The recipes that post by HTTP, against the app in the local host."""

import shutil
import subprocess
from pathlib import Path

import pytest

from local.functions_host import FunctionsHost
from tests.recipes import pages, tools
from tests.recipes.local_cloud import APP
from tests.support.world import World, eventually

KEY = "a-function-key-of-this-test"


def start(world: World) -> FunctionsHost:
    return world.start_host(function_keys={"ada": KEY}, KUSTO_ALLOWED_INGEST_URIS=world.adx.uri)


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def is_watched(world: World, operation_id: str) -> bool:
    with world.tables.get_table_client("IngestionOperations") as client:
        rows = list(client.query_entities("OperationId eq @id", parameters={"id": operation_id}))
    return [(row["Database"], row["Table"], row["State"]) for row in rows] == [("Sales", "Orders", "InProgress")]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on the PATH")
def test_the_command_with_curl_posts_an_operation(world: World, tmp_path: Path) -> None:
    host = start(world)
    snippet = pages.replaced(pages.snippet("post-http", "sh"), (APP, str(host.uri)))
    script = tmp_path / "post.sh"
    script.write_text(pages.filled(snippet, **{"OPERATION-ID": "op-curl", "KEY": KEY}))
    done = run(["sh", "-e", str(script)])
    assert done.returncode == 0, done.stderr + done.stdout
    assert '"operationId":"op-curl"' in done.stdout.replace(" ", "")
    eventually(lambda: is_watched(world, "op-curl"), "the operation")
    script.write_text(script.read_text().replace(KEY, "another"))
    assert run(["sh", "-e", str(script)]).returncode != 0


def test_the_program_in_csharp_posts_an_operation(world: World, tmp_path: Path) -> None:
    if not tools.has_mono():
        pytest.skip("Mono is missing, and only root can have it installed: apt-get install mono-mcs mono-runtime")
    host = start(world)
    source, program = tmp_path / "Post.cs", tmp_path / "Post.exe"
    snippet = pages.replaced(pages.snippet("post-dotnet", "csharp"), (APP, str(host.uri)))
    source.write_text(pages.filled(snippet, **{"OPERATION-ID": "op-net", '"KEY"': f'"{KEY}"'}))
    compile_ = ["mcs", "-langversion:7", "-r:System.Net.Http", f"-out:{program}", str(source)]
    compiled = run(compile_)
    assert compiled.returncode == 0, compiled.stderr
    done = run(["mono", str(program)])
    assert (done.returncode, done.stdout[:4]) == (0, "202 "), done.stdout + done.stderr
    eventually(lambda: is_watched(world, "op-net"), "the operation")
    source.write_text(source.read_text().replace(KEY, "another"))
    run(compile_)
    assert run(["mono", str(program)]).returncode == 1

"""The recipe in Python puts a message on the queue that the app takes."""

import subprocess
import sys
from pathlib import Path

from local.azurite import KEY
from shared.endpoints import Endpoints
from shared.messages import Defaults, OperationMessage, read_operation
from tests.recipes import pages
from tests.support.world import World


def posted(world: World) -> OperationMessage:
    """The only message on the queue, as the app understands it."""
    [text] = world.waiting("OPERATIONS_QUEUE")
    defaults = Defaults(Endpoints(world.adx.uri, frozenset()))
    return read_operation(text.encode(), defaults)


def test_the_snippet_in_python_posts_an_operation(world: World, tmp_path: Path) -> None:
    snippet = pages.replaced(
        pages.snippet("post-python", "python"),
        ("DefaultAzureCredential()", repr(KEY)),
        ("https://ACCOUNT.queue.core.windows.net", world.azurite.queue_endpoint),
        ("ingestion-operations", world.names["OPERATIONS_QUEUE"]),
    )
    program = tmp_path / "post.py"
    program.write_text(pages.filled(snippet, **{"OPERATION-ID": "op-1", "SOURCE-ID": "s-1", "SAS": "sig=x"}))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    message = posted(world)
    assert (message.operation.operation_id, message.operation.database, message.operation.table) == (
        "op-1",
        "Sales",
        "Orders",
    )
    assert message.properties == {"format": "csv", "ingestionMappingReference": "orders_v1"}
    [blob] = message.blobs
    assert (blob.source_id, message.extra) == ("s-1", {})

from benchmarks.memory import Import, dearest_imports

# As `-X importtime` writes it: what a module imports stands before it, two further in.
LINES = """\
import time: self [us] | cumulative | imported package
import time:      1000 |       1000 | site
import time:      3000 |       3000 |         requests
import time:      2000 |       5000 |       azure.identity
import time:      4000 |       4000 |       azure.storage.queue
import time:      1000 |      10000 |     shared.app
import time:       500 |        500 |     json
import time:      1000 |      11500 |   shared.api
import time:       500 |      12000 | function_app
"""


def test_an_import_counts_with_what_it_brings_and_not_twice() -> None:
    assert dearest_imports(LINES, 3) == [
        Import("azure.identity", 5.0),
        Import("azure.storage.queue", 4.0),
        Import("site", 1.0),
    ]


def test_no_more_are_named_than_asked_for() -> None:
    assert dearest_imports(LINES, 1) == [Import("azure.identity", 5.0)]

"""A simulator of Azure Data Explorer's queued ingestion over REST, for tests and for one machine.

    with AdxSimulator.start(dialect="sdk", batching_seconds=0.5) as adx:
        adx.set_faults([BlobFault(kind="transient", url_contains="late", submissions=1)])
        requests.post(f"{adx.uri}/v1/rest/ingestion/queued/db/table", ...)
        assert not adx.books().duplicates

It has the endpoints to submit blobs, to ask for their status and for the configuration, in the documentation's dialect
and in the SDK's, and the management command that asks for many operations at once. It truly downloads each blob from
its URL and parses it (`formats.FORMATS`, compressed by gzip or not), takes its time, fails with ADX's own codes,
honours `ingest-by:` tags with `ingestIfNotExists`, and keeps books of the rows: how many a table holds, how many of
them more than once, and how often which blob brought its own.
A blob whose URL ends in `;managed_identity=…` and has no SAS is read with the emulator's key if it is Azurite's.

`AdxSimulator.start(*, dialect="documented", batching_seconds=1.0, visible_after_seconds=0.3, counted_after_seconds=0.0,
max_blobs_per_batch=20, operation_id_pattern="00001111;11112222;{guid}", token=None, show_url_query=False,
containers=(), latency_seconds=0.0, seed=0, port=0, start_seconds=60.0) -> AdxSimulator` returns once it listens.
It has `.uri`, `.pid`, `.set_faults()`, `.struck()`, `.books()`, `.requests()`, `.polls()`, `.last_requests()`,
`.plant()`, `.plant_many()`, `.mend()`, `.configure()`, `.reset()`, `.stop()`, `.kill()`, and is a context manager.
`BlobFault` and `RequestFault` say what can go wrong, and `Crowd` what many planted operations answer.
From a shell: `python -m local.adx_simulator`, which prints `{"uri": …}` when it listens.

The same is to be had over HTTP, in JSON and without a token: `/simulator/faults` (GET, and POST replaces all),
`/simulator/books`, `/simulator/requests?last=N`, `/simulator/polls` (GET), `/simulator/operations`,
`/simulator/crowds`, `/simulator/settings`, `/simulator/mend` and `/simulator/reset` (POST).

Not imitated: tables with columns, so the first record of a CSV says how many fields the others must have, and
mappings are accepted and ignored; databases, tables and permissions, for every name exists and every token may do
all; extents, retention and queries; the service's own retries, other than those of a `mending` fault; cancelling; the
other management commands; streaming ingestion; other formats, refused when submitted; archives;
`ignoreLastRecordIfInvalid`, `creationTime`, `validationPolicy`, `zipPattern` and size limits; batches of several
submissions sealed together; identities other than the emulator's. Everything is in memory and gone when it stops.

Chosen where the contract leaves it open: a submission without tracking is answered with `{}`; the details show URLs
without their query; the tags of a blob are in its table from the moment that its rows are; an operation has no
`lastUpdated` until one of its blobs has begun; the management command shows operations that came over REST too, but for
the share that `bulk_hides` says, and what was planted not at all.
"""

from local.adx_simulator.answers import Answer
from local.adx_simulator.books import BlobBook, Books, TableBook
from local.adx_simulator.client import AdxSimulator, ControlRefused
from local.adx_simulator.crowds import Crowd
from local.adx_simulator.faults import BlobFault, RequestFault
from local.adx_simulator.requests_log import RequestCount, RequestCounts, RequestRecord

__all__ = [
    "AdxSimulator",
    "Answer",
    "BlobBook",
    "BlobFault",
    "Books",
    "ControlRefused",
    "Crowd",
    "RequestCount",
    "RequestCounts",
    "RequestFault",
    "RequestRecord",
    "TableBook",
]

"""The tracker by its storage: the app's own code, here, on its tables and queues. It makes none of them."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps

from cli.errors import Refused, UnknownOperation, Unreachable
from cli.facts import BlobFacts, Named, OperationInFull, OperationsPage, Redriven, Wanted, read
from shared import reading, redrive
from shared.api.continuation import read_token, write_token
from shared.api.problems import BadRequest
from shared.api.shapes import blob_object, lineage_object, operation_object
from shared.app import Tracker, UnknownQueue, tracker_on_what_is_there
from shared.endpoints import Endpoints, parse_origin
from shared.errors import EndpointNotAllowed
from shared.fields import MessageRefused
from shared.invocation import StorageFailed, told_safely
from shared.messages import Defaults, read_operation
from shared.model import Json, OperationState, RetryState
from shared.redrive_request import name_of
from shared.settings import Settings
from shared.store.listing import Filter
from shared.store.outstanding import LayoutMismatch
from shared.store.results import Contended
from shared.store.tables import BadPosition, NotStorable

_BLOBS_PAGE = 1000
_REFUSALS = (
    reading.AmbiguousOperation,
    BadPosition,
    BadRequest,
    EndpointNotAllowed,
    LayoutMismatch,
    MessageRefused,
    NotStorable,
    UnknownQueue,
    redrive.RedriveRefused,
)


@contextmanager
def _told() -> Iterator[None]:
    """The errors of the app's code as those of this program."""
    try:
        with told_safely():
            yield
    except redrive.UnknownOperation as error:
        raise UnknownOperation(str(error)) from None
    except _REFUSALS as error:
        raise Refused(str(error)) from None
    except Contended as error:
        raise Unreachable(str(error)) from None
    except StorageFailed as error:
        raise Unreachable(
            f"{error}. Is it the app's storage (IngestionStorage), and may you read it? tracker doctor"
        ) from None


def _asking[**P, R](act: Callable[P, R]) -> Callable[P, R]:
    @wraps(act)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        with _told():
            return act(*args, **kwargs)

    return told


class StorageSource:
    """The tracker whose storage these settings name.

    Raises:
        Unreachable: that can't be used, or it is no tracker's.
    """

    @_asking
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tracker: Tracker = tracker_on_what_is_there(settings)
        self._reading = self._tracker.reading
        endpoints = Endpoints(settings.ingest_uri, settings.allowed_ingest_uris)
        self._defaults = Defaults(endpoints, settings.database, settings.table)

    @property
    def place(self) -> str:
        """Which storage it is, without a key."""
        found = re.search(r"(?:AccountName|TableEndpoint)=([^;?]+)", self._settings.storage.connection_string)
        return self._settings.storage.table_uri or (found[1] if found else "of the connection string")

    @_asking
    def page(self, wanted: Wanted, most: int, after: str | None = None) -> OperationsPage:
        """Operations, newest first."""
        asked = reading.Wanted(
            Filter(
                states=tuple(map(OperationState, wanted.states)),
                cluster=_cluster(wanted.cluster),
                database=wanted.database,
                table=wanted.table,
                since=wanted.since,
                until=wanted.until,
            ),
            wanted.error_code,
        )
        # The API's tokens, so that one goes on where the other has ended.
        filters = ["operations", asked]
        if wanted.operation_id:
            found, position = self._reading.search(wanted.operation_id, asked, most), None
        else:
            found, position = self._reading.page(asked, most, read_token(after, filters))
        operations = [operation_object(each) for each in found]
        return read({"operations": operations, "continuationToken": write_token(position, filters)}, OperationsPage)

    @_asking
    def operation(self, named: Named) -> OperationInFull:
        """One operation and its lineage."""
        known = self._reading.find(_asked(named))
        return read(
            {**operation_object(known), "lineage": lineage_object(self._reading.lineage(known))}, OperationInFull
        )

    def blobs(
        self, operation: Named, *, statuses: Collection[str] = (), retry_states: Collection[str] = ()
    ) -> Iterator[BlobFacts]:
        """Its blobs, page by page."""
        with _told():
            whose = self._reading.find(_asked(operation)).operation
        after: str | None = None
        while True:
            with _told():
                page = self._reading.blobs(
                    whose, _BLOBS_PAGE, after, tuple(statuses), tuple(map(RetryState, retry_states))
                )
            for row in page.rows:
                yield read(blob_object(row), BlobFacts)
            after = page.after
            if after is None:
                return

    @_asking
    def check(self, message: Mapping[str, Json]) -> None:
        """Read the message as the app will."""
        read_operation(json.dumps(message).encode(), self._defaults)

    @_asking
    def track(self, message: Mapping[str, Json]) -> Named:
        """Put the message on the operations queue."""
        operation = self._tracker.post_operation(dict(message), json.dumps(message).encode(), "")
        return Named(operation.operation_id, operation.cluster, operation.database, operation.table)

    @_asking
    def redrive_blobs(self, named: Named, content: Mapping[str, Json], by: str) -> Redriven:
        """Have an operation's given-up blobs tried again."""
        place = {"cluster": named.cluster, "database": named.database, "table": named.table}
        done = self._tracker.redrive_blobs(named.operation_id, {**content, **place}, name_of(by))
        return Redriven(redrive_id=done.redrive_id, blobs=done.count, left=done.left)

    @_asking
    def redrive_messages(self, queue: str, by: str, most: int | None) -> Redriven:
        """Have the messages of a poison queue handled again."""
        done = self._tracker.redrive_messages(queue, name_of(by), most)
        return Redriven(redrive_id=done.redrive_id, messages=done.count, left=done.left)


def _asked(named: Named) -> reading.Named:
    return reading.Named((named.operation_id,), _cluster(named.cluster), named.database, named.table)


def _cluster(text: str | None) -> str | None:
    return text and parse_origin(text)

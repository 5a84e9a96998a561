"""What doctor looks at, one after the other: the API, the settings, storage, ADX, and a container of blobs."""

import re
import uuid
from collections.abc import Iterator
from itertools import islice

from cli.checks import (
    Check,
    Outcome,
    check_adx,
    check_api,
    check_endpoints,
    check_queue,
    check_results_queue,
    check_table,
    check_topic,
)
from cli.connecting import Way, connect_api
from cli.containers import blobs_of
from cli.errors import Refused, TrackerError
from cli.grants import BLOB_READER, NOBODY, Principal, container_scope, principal_of, storage_grant
from cli.identity import credential, token_of, tokens_for
from shared import library_logs, queues
from shared.ambient import Ambient
from shared.endpoints import Endpoints, is_loopback
from shared.event_grid import AUDIENCE, Topic
from shared.kusto.client import KustoClient
from shared.kusto.tokens import IdentityTokens, LocalTokens
from shared.model import Operation, bare_url
from shared.settings import STORAGE_CONNECTION, KustoAuth, Settings, SettingsError, load
from shared.store import TABLES, tables

_STORAGE_SCOPE = "https://storage.azure.com/.default"


def examine(way: Way, database: str | None, table: str | None, container: str | None) -> Iterator[Check]:
    """Look at everything that can be looked at from here."""
    library_logs.tame()
    try:
        values, root = way.settings, way.root
    except TrackerError as error:
        yield Check("settings", Outcome.FAILED, str(error))
        return
    if root:
        yield from _of_api(way, root)
    if not root or any(name.startswith(STORAGE_CONNECTION) and value for name, value in values.items()):
        try:
            settings = load(values)
        except SettingsError as error:
            for problem in error.problems:
                name, _, what = problem.partition(": ")
                yield Check(f"setting {name}", Outcome.FAILED, what)
            return
        yield Check("settings", Outcome.OK, "they are valid")
        yield from check_endpoints(settings)
        yield from _of_storage(settings)
        yield from _of_topic(settings)
        yield from _of_adx(settings, database or settings.database, table or settings.table)
    if container:
        yield _of_container(container)


def _of_api(way: Way, root: str) -> Iterator[Check]:
    app = re.sub(r"^https?://|[.:/].*$", "", root)
    try:
        source = connect_api(way, root)
    except TrackerError as error:
        yield Check("api", Outcome.FAILED, str(error))
        return
    yield from check_api(source.health, app)


def _of_storage(settings: Settings) -> Iterator[Check]:
    access, principal = settings.storage, NOBODY
    asked = None if access.connection_string else credential(access.client_id)
    if asked:
        try:
            principal = principal_of(token_of(asked, _STORAGE_SCOPE))
        except Refused as error:
            yield Check("identity for storage", Outcome.FAILED, str(error), ("az login",))
            return
        yield Check("identity for storage", Outcome.OK, principal.shown)
    account = account_of(settings)
    with queues.connect(access, asked) as service:
        for queue in (settings.operations_queue, settings.retry_queue, settings.poll_queue):
            yield from check_queue(service.get_queue_client(queue), account, principal)
        if queue := settings.news.queue:
            yield check_results_queue(service.get_queue_client(queue), account, principal)
    with tables.connect(access, asked) as table_service:
        for table in TABLES:
            yield from check_table(table_service.get_table_client(table), account, principal)


def _of_topic(settings: Settings) -> Iterator[Check]:
    topic = settings.news.topic
    if not topic:
        return
    if is_loopback(topic):
        yield check_topic(Topic(topic, LocalTokens()), topic, NOBODY)
        return
    asked = credential(settings.client_id)
    try:
        principal = principal_of(token_of(asked, f"{AUDIENCE}/.default"))
    except Refused as error:
        yield Check("identity for Event Grid", Outcome.FAILED, str(error), ("az login",))
        return
    yield check_topic(Topic(topic, IdentityTokens(lambda: asked)), topic, principal)


def account_of(settings: Settings) -> str:
    """The name of the storage account, for a command."""
    access = settings.storage
    found = re.search(r"AccountName=([^;]+)|TableEndpoint=https?://([^.;/]+)", access.connection_string)
    named = (found[1] or found[2]) if found else re.sub(r"^https://|[./].*$", "", access.table_uri)
    return named or "ACCOUNT"


def _of_adx(settings: Settings, database: str, table: str) -> Iterator[Check]:
    cluster, auth = settings.ingest_uri, settings.auth
    principal: Principal = NOBODY
    if not (is_loopback(cluster) and auth is KustoAuth.NONE):
        try:
            principal = principal_of(token_of(credential(settings.client_id), f"{cluster}/.default"))
        except Refused as error:
            yield Check("identity for ADX", Outcome.FAILED, str(error), ("az login",))
            return
        yield Check("identity for ADX", Outcome.OK, principal.shown)
    client = KustoClient(
        tokens_for(cluster, auth, settings.client_id), Endpoints(cluster), concurrency=1, ambient=Ambient()
    )
    nobodys = Operation(cluster, database, table, str(uuid.uuid4()))
    yield from check_adx(client, nobodys, principal)
    if not database or not table:
        yield Check("tables", Outcome.DOUBT, "--database and --table say which table's roles to look at")
    client.close()


def _of_container(url: str) -> Check:
    name = f"container {bare_url(url)}"
    try:
        count = len(list(islice(blobs_of(url, "", credential), 1)))
    except Refused as error:
        if "sig=" in url:
            return Check(name, Outcome.FAILED, str(error))
        try:
            principal = principal_of(token_of(credential(), _STORAGE_SCOPE))
        except Refused:
            principal = NOBODY
        found = re.match(r"https://([^./]+)\.[^/]+/([^/]+)", bare_url(url))
        account, container = (found[1], found[2]) if found else ("ACCOUNT", "CONTAINER")
        grant = storage_grant(principal, BLOB_READER, account, container_scope(container))
        return Check(name, Outcome.FAILED, str(error), (grant,))
    except TrackerError as error:
        return Check(name, Outcome.FAILED, str(error))
    return Check(name, Outcome.OK, "it can be listed" if count else "it can be listed, and is empty")

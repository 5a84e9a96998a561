"""Which ingestion endpoints may be sent a token: compared as parsed origins, never as text.

A cluster is written as the origin of its ingestion endpoint, lower case, without the scheme's own port and without a
trailing slash, so that two spellings of one endpoint are one cluster.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from shared.errors import EndpointNotAllowed

_ORIGIN = re.compile(r"(https?)://([a-z0-9-]+(?:\.[a-z0-9-]+)*|\[::1\])(?::([0-9]{1,5}))?/?", re.ASCII | re.IGNORECASE)
# 127.0.0.999 would be looked up as a name, and behind a search domain it may be anybody's.
_LOOPBACK = re.compile(r"localhost|127(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}|\[::1\]")
_OWN_PORTS = {"https": "443", "http": "80"}
_MOST_PORT = 65_535

# The domains of wellKnownKustoEndpoints.json in azure-kusto-data, which the SDKs trust with a token.
_KUSTO_DOMAINS = (
    ".kusto.windows.net",
    ".kustomfa.windows.net",
    ".kustodev.windows.net",
    ".kusto.azuresynapse.net",
    ".kusto.data.microsoft.com",
    ".kusto.fabric.microsoft.com",
    ".playfab.com",
    ".kusto.chinacloudapi.cn",
    ".kustomfa.chinacloudapi.cn",
    ".kusto.azuresynapse.azure.cn",
    ".kusto.usgovcloudapi.net",
    ".kustomfa.usgovcloudapi.net",
)


_TOPIC_DOMAINS = (".eventgrid.azure.net", ".eventgrid.azure.us", ".eventgrid.azure.cn")
TOPIC_PATH = "/api/events"


def parse_origin(text: str) -> str:
    """The origin of an endpoint: scheme, host and, where it isn't the scheme's own, port.

    Raises:
        EndpointNotAllowed: it is no plain origin, or is HTTP to anywhere but this machine.
    """
    found = _ORIGIN.fullmatch(text.strip())
    if not found or (found[3] and not 0 < int(found[3]) <= _MOST_PORT):
        raise EndpointNotAllowed("an endpoint is https://HOST, without a user name, path or query")
    scheme, host, port = found[1].lower(), found[2].lower(), found[3] and str(int(found[3]))
    if scheme == "http" and not _LOOPBACK.fullmatch(host):
        raise EndpointNotAllowed("HTTP is for endpoints on this machine alone: a token would travel unencrypted")
    return f"{scheme}://{host}" + (f":{port}" if port and port != _OWN_PORTS[scheme] else "")


def parse_topic(text: str) -> str:
    """The origin of an Event Grid topic's endpoint, which has the path ``/api/events`` or none.

    Raises:
        EndpointNotAllowed: it is none of Event Grid's, nor on this machine.
    """
    origin = parse_origin(text.strip().removesuffix("/").removesuffix(TOPIC_PATH))
    if not is_loopback(origin) and not _host(origin).endswith(_TOPIC_DOMAINS):
        raise EndpointNotAllowed("it is in none of the domains of Event Grid")
    return origin


def is_loopback(origin: str) -> bool:
    """Whether an origin is on this machine."""
    return bool(_LOOPBACK.fullmatch(_host(origin)))


def doubtful_endpoint(origin: str) -> str | None:
    """What makes an origin worth a second look: it is none that the SDKs send tokens to, or no ingestion endpoint."""
    host = _host(origin)
    if is_loopback(origin):
        return None
    if not host.endswith(_KUSTO_DOMAINS):
        return "is in none of the domains of Azure Data Explorer; check that a token may go there"
    if not host.startswith(("ingest-", "private-ingest-")):
        return "is no ingestion endpoint; those of Azure Data Explorer begin with https://ingest-"
    return None


@lru_cache
def cluster_name(origin: str) -> str:
    """A cluster for people: ``mycluster.westeurope`` of ``https://ingest-mycluster.westeurope.kusto.windows.net``."""
    host = _host(origin).removeprefix("ingest-")
    for domain in _KUSTO_DOMAINS:
        host = host.removesuffix(domain)
    port = re.search(r":[0-9]+$", origin)
    return host + (port[0] if port else "")


def _host(origin: str) -> str:
    return re.sub(r":[0-9]+$", "", origin.partition("://")[2])


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints that may be sent a token: the default one and further ones, all as origins."""

    default: str
    further: frozenset[str] = frozenset()

    def allow(self, origin: str) -> bool:
        """Whether an origin may be sent a token."""
        return origin == self.default or origin in self.further

    def resolve(self, offered: str | None) -> str:
        """The cluster that a message means.

        Raises:
            EndpointNotAllowed: it is none of the configured ones.
        """
        if not offered:
            return self.default
        origin = parse_origin(offered)
        if not self.allow(origin):
            raise EndpointNotAllowed(
                f"the cluster {origin} is neither KUSTO_INGEST_URI nor in KUSTO_ALLOWED_INGEST_URIS"
            )
        return origin

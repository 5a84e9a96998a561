import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.identity import CredentialUnavailableError

from shared.errors import AccessRefused, KustoError, Unavailable
from shared.kusto.tokens import IdentityTokens, LocalTokens
from tests.support.facts import CLUSTER

OTHER = "https://ingest-other.kusto.windows.net"


class Identity:
    """Makes credentials that count what they are asked for."""

    def __init__(self, life: float = 3600.0, error: AzureError | None = None) -> None:
        self.life = life
        self.error = error
        self.credentials = 0
        self.asked = 0
        self.scopes: list[str] = []

    def make(self) -> "Credential":
        self.credentials += 1
        return Credential(self, self.credentials)


class Credential:
    def __init__(self, identity: Identity, number: int) -> None:
        self._identity = identity
        self._number = number

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:  # noqa: ANN401, of the protocol
        self._identity.asked += 1
        if self._identity.error:
            raise self._identity.error
        self._identity.scopes.extend(scopes)
        return AccessToken(f"{self._number}.{len(self._identity.scopes)}", int(time.time() + self._identity.life))


def test_a_local_endpoint_is_sent_a_placeholder() -> None:
    tokens = LocalTokens()
    tokens.discard("http://127.0.0.1:8080", "local")
    assert tokens.token("http://127.0.0.1:8080") == "local"


def test_a_token_is_asked_for_with_the_scope_of_the_cluster_and_kept() -> None:
    identity = Identity()
    tokens = IdentityTokens(identity.make)
    assert tokens.token(CLUSTER) == tokens.token(CLUSTER) == "1.1"
    assert identity.scopes == [f"{CLUSTER}/.default"]


def test_no_credential_is_made_before_a_token_is_needed() -> None:
    identity = Identity()
    IdentityTokens(identity.make)
    assert identity.credentials == 0


def test_each_cluster_has_a_token_of_its_own_from_one_credential() -> None:
    identity = Identity()
    tokens = IdentityTokens(identity.make)
    assert (tokens.token(CLUSTER), tokens.token(OTHER), tokens.token(CLUSTER)) == ("1.1", "1.2", "1.1")
    assert identity.credentials == 1


@pytest.mark.parametrize(("life", "asked"), [(290, 2), (-10, 2), (320, 1)])
def test_a_token_is_not_used_in_its_last_minutes(life: float, asked: int) -> None:
    identity = Identity(life)
    tokens = IdentityTokens(identity.make)
    tokens.token(CLUSTER)
    tokens.token(CLUSTER)
    assert len(identity.scopes) == asked


def test_a_refused_token_is_replaced_through_a_new_credential() -> None:
    identity = Identity()
    tokens = IdentityTokens(identity.make)
    tokens.discard(CLUSTER, tokens.token(CLUSTER))
    assert tokens.token(CLUSTER) == "2.2"


def test_a_token_that_was_replaced_meanwhile_is_not_discarded_again() -> None:
    identity = Identity()
    tokens = IdentityTokens(identity.make)
    refused = tokens.token(CLUSTER)
    tokens.discard(CLUSTER, refused)
    fresh = tokens.token(CLUSTER)
    tokens.discard(CLUSTER, refused)
    assert tokens.token(CLUSTER) == fresh


def test_discarding_leaves_the_tokens_of_other_clusters() -> None:
    tokens = IdentityTokens(Identity().make)
    other = tokens.token(OTHER)
    tokens.discard(CLUSTER, tokens.token(CLUSTER))
    assert tokens.token(OTHER) == other


def test_many_threads_ask_for_one_token() -> None:
    identity = Identity()
    tokens = IdentityTokens(identity.make)
    ready = threading.Barrier(8)

    def ask(_: int) -> str:
        ready.wait()
        return tokens.token(CLUSTER)

    with ThreadPoolExecutor(8) as executor:
        assert set(executor.map(ask, range(8))) == {"1.1"}


@pytest.mark.parametrize("kind", [ClientAuthenticationError, CredentialUnavailableError])
def test_without_an_identity_access_is_refused_with_what_to_do(kind: type[ClientAuthenticationError]) -> None:
    error = kind(message="no managed identity\nat https://login.example/?client_secret=hunter2")
    with pytest.raises(AccessRefused) as refusal:
        IdentityTokens(Identity(error=error).make).token(CLUSTER)
    for part in (CLUSTER, "no managed identity", "AZURE_CLIENT_ID", "az login"):
        assert part in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_a_secret_in_the_first_line_of_a_refusal_goes() -> None:
    error = ClientAuthenticationError(message="POST https://login.example/?client_secret=hunter2 failed")
    with pytest.raises(AccessRefused) as refusal:
        IdentityTokens(Identity(error=error).make).token(CLUSTER)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("kind", [AzureError, ServiceRequestError, HttpResponseError])
def test_an_identity_endpoint_that_does_not_answer_makes_adx_unavailable_for_a_while(kind: type[AzureError]) -> None:
    error = kind(message="POST https://login.example/?client_secret=hunter2 failed\ntrace")
    with pytest.raises(Unavailable) as failure:
        IdentityTokens(Identity(error=error).make).token(CLUSTER)
    assert failure.value.retry_after == timedelta(seconds=10)
    assert not failure.value.maybe_accepted
    assert CLUSTER in str(failure.value)
    for hidden in ("hunter2", "trace"):
        assert hidden not in str(failure.value)


@pytest.mark.parametrize("error", [ClientAuthenticationError(message="not now"), AzureError("not now")])
def test_a_failure_is_told_again_for_ten_seconds_without_asking(
    error: AzureError, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    identity = Identity(error=error)
    tokens = IdentityTokens(identity.make)
    told = []
    for after in (0.0, 1.0, 9.9):
        clock[0] = 1000.0 + after
        with pytest.raises(KustoError) as failure:
            tokens.token(CLUSTER)
        told.append((type(failure.value), str(failure.value)))
    assert len(set(told)) == 1
    assert identity.asked == 1
    clock[0] = 1010.0
    with pytest.raises(KustoError):
        tokens.token(CLUSTER)
    assert identity.asked == 2
    identity.error = None
    clock[0] = 1020.0
    assert tokens.token(CLUSTER) == tokens.token(CLUSTER) == "1.1"


def test_the_failure_of_one_cluster_is_not_told_to_another() -> None:
    identity = Identity(error=AzureError("not now"))
    tokens = IdentityTokens(identity.make)
    with pytest.raises(Unavailable):
        tokens.token(CLUSTER)
    identity.error = None
    assert tokens.token(OTHER) == "1.1"

"""Where the bearer token for a cluster comes from."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Protocol

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError

from shared.errors import AccessRefused, KustoError, Unavailable
from shared.redaction import redact

_FAILURE_PAUSE = timedelta(seconds=10)

_SPARE_SECONDS = 300
"""A token is not used in the last minutes of its life: a request may be on its way for a while."""


class Tokens(Protocol):
    """Gives the token for a cluster."""

    def token(self, cluster: str) -> str:
        """The token to send to ``cluster``.

        Raises:
            AccessRefused: there is none to be had.
            Unavailable: there is none to be had now.
        """

    def discard(self, cluster: str, token: str) -> None:
        """Forget a token that ``cluster`` answered 401 to, so that the next one is fresh."""


class LocalTokens:
    """For ``KUSTO_AUTH=none``: the placeholder that goes to loopback endpoints."""

    def token(self, _cluster: str) -> str:
        """The placeholder."""
        return "local"

    def discard(self, cluster: str, token: str) -> None:
        """Nothing to forget."""


class IdentityTokens:
    """Tokens of the app's identity, of scope ``<ingestion URI>/.default`` as the Java SDK asks for them.

    azure-identity has no call to renew a token before its time, so a refused one is replaced through a new credential,
    whose cache is empty.
    """

    def __init__(self, make_credential: Callable[[], TokenCredential]) -> None:
        self._make_credential = make_credential
        self._credential: TokenCredential | None = None
        self._tokens: dict[str, AccessToken] = {}
        self._failures: dict[str, tuple[Callable[[], KustoError], float]] = {}
        self._lock = threading.Lock()

    def token(self, cluster: str) -> str:
        """The cached token, or a new one.

        Raises:
            AccessRefused: the identity can't get one.
            Unavailable: nobody gives one now.
        """
        with self._lock:
            make_failure, until = self._failures.get(cluster, (None, 0.0))
            if make_failure is not None and time.monotonic() < until:
                raise make_failure()
            known = self._tokens.get(cluster)
            if known is None or known.expires_on - time.time() < _SPARE_SECONDS:
                known = self._tokens[cluster] = self._new(cluster)
            return known.token

    def discard(self, cluster: str, token: str) -> None:
        """Forget the token, unless another thread has already replaced it."""
        with self._lock:
            known = self._tokens.get(cluster)
            if known is not None and known.token == token:
                del self._tokens[cluster]
                self._credential = None

    def _new(self, cluster: str) -> AccessToken:
        if self._credential is None:
            self._credential = self._make_credential()
        try:
            return self._credential.get_token(f"{cluster}/.default")
        except AzureError as error:
            make_failure = partial(_failure, cluster, error)
            self._failures[cluster] = make_failure, time.monotonic() + _FAILURE_PAUSE.total_seconds()
            raise make_failure() from None


def _failure(cluster: str, error: AzureError) -> KustoError:
    """What is told of a token that can't be had, and told again for a while: each try may take many seconds."""
    text = f"no token for {cluster} could be had: {redact(str(error.message or error).strip().partition(chr(10))[0])}"
    if not isinstance(error, ClientAuthenticationError):
        return Unavailable(text, retry_after=_FAILURE_PAUSE)
    return AccessRefused(
        f"{text}. In Azure, check the app's managed identity and AZURE_CLIENT_ID; on a developer's machine, sign in "
        "with 'az login'"
    )

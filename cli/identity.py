"""Who asks: whoever is signed in on this machine, or the managed identity that the settings name."""

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from cli.errors import Refused
from shared.endpoints import is_loopback
from shared.kusto.tokens import IdentityTokens, LocalTokens, Tokens
from shared.redaction import redacted_line
from shared.settings import KustoAuth


def credential(client_id: str = "") -> TokenCredential:
    """A managed identity where one is named, else a login: `az login`, a workload's identity, the environment."""
    return ManagedIdentityCredential(client_id=client_id) if client_id else DefaultAzureCredential()


def token_of(asked: TokenCredential, scope: str) -> str:
    """A token.

    Raises:
        Refused: there is none to be had.
    """
    try:
        return asked.get_token(scope).token
    except AzureError as error:
        raise Refused(f"no token for {scope} could be had: {redacted_line(error)}. Sign in with 'az login'") from None


def tokens_for(cluster: str, auth: str, client_id: str = "") -> Tokens:
    """Tokens for a cluster; the placeholder where one on this machine wants none (``KUSTO_AUTH=none``)."""
    if is_loopback(cluster) and auth.lower() == KustoAuth.NONE:
        return LocalTokens()
    return IdentityTokens(lambda: credential(client_id))

"""Where the addresses in the recipes lead on this machine, with a login that the parts here take."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from azure.storage.queue import AccountSasPermissions, ResourceTypes, generate_account_sas

from local.azurite import ACCOUNT, KEY
from tests.recipes.workflows import RequestRefused, Sent
from tests.support.world import World

ADX = "https://ingest-CLUSTER.REGION.kusto.windows.net"
QUEUES = "https://ACCOUNT.queue.core.windows.net"
APP = "https://APP.azurewebsites.net"
_SECONDS = 30


@dataclass(frozen=True)
class LocalCloud:
    """Sends what a recipe asks for to the parts of a world, as the identity that the recipe names."""

    world: World
    app_uri: str = ""
    function_key: str = ""

    def send(self, sent: Sent) -> Any:  # noqa: ANN401, whatever is answered
        """Make the request; what is answered as the service would hand it on."""
        headers, url = dict(sent.headers), sent.url
        audience = sent.login.get("resource") or sent.login.get("audience")
        if url.startswith(ADX):
            assert audience == ADX
            url, headers["Authorization"] = url.replace(ADX, self.world.adx.uri), "Bearer local"
        elif url.startswith(QUEUES):
            assert audience == "https://storage.azure.com/"
            url = f"{url.replace(QUEUES, self.world.azurite.queue_endpoint)}&{_signature()}"
            url = url.replace("/ingestion-operations/", f"/{self.world.names['OPERATIONS_QUEUE']}/")
        elif url.startswith(APP):
            assert audience == "api://API-CLIENT-ID"
            url, headers["x-functions-key"] = url.replace(APP, self.app_uri), self.function_key
        else:
            raise AssertionError(f"a request to {url}")
        return _answer(sent.method, url, headers, sent.body)


def _answer(method: str, url: str, headers: Mapping[str, str], body: Any) -> Any:  # noqa: ANN401, JSON or a text
    content = {"data": body.encode()} if isinstance(body, str) else {"json": body} if body is not None else {}
    answer = requests.request(method, url, headers=headers, timeout=_SECONDS, **content)
    if not answer.ok:
        raise RequestRefused(f"{answer.status_code}: {answer.text}")
    is_json = "json" in answer.headers.get("Content-Type", "")
    return answer.json() if is_json else {"Response": answer.text}


def _signature() -> str:
    """A shared access signature for Azurite's queues, in place of a token, which it takes over HTTPS alone."""
    return str(
        generate_account_sas(
            ACCOUNT,
            KEY,
            ResourceTypes(object=True),
            AccountSasPermissions(add=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
    )

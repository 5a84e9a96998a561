import tempfile
from pathlib import Path

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from shared import telemetry_export
from shared.settings import Telemetry

# Never reached: a token is asked for before a connection is made.
NOWHERE = "InstrumentationKey=00000000-0000-0000-0000-000000000009;IngestionEndpoint=https://127.0.0.1:9/"


class WithoutToken:
    def __init__(self, *, client_id: str | None) -> None:
        assert client_id == "the-client"

    def get_token(self, *_: str, **__: object) -> AccessToken:
        raise ClientAuthenticationError("the identity endpoint is busy, ?sig=c2VjcmV0MTIz")


def test_what_can_not_be_sent_for_want_of_a_token_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(telemetry_export, "ManagedIdentityCredential", WithoutToken)
    for name in telemetry_export.QUIET:
        monkeypatch.setenv(name, "true")
    sending = telemetry_export.build(Telemetry(NOWHERE, by_identity=True, client_id="the-client"))
    sending.metrics.get_meter("test").create_counter("tracker.kept").add(1)
    sending.flush()
    for provider in (sending.traces, sending.metrics, sending.logs):
        provider.shutdown()
    kept = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert any("tracker.kept" in text for text in kept)
    assert not any("c2VjcmV0MTIz" in text for text in kept)

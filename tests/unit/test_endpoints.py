import pytest

from shared.endpoints import Endpoints, cluster_name, doubtful_endpoint, is_loopback, parse_origin
from shared.errors import EndpointNotAllowed

HELP = "https://ingest-help.westeurope.kusto.windows.net"


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        (HELP, HELP),
        (f"{HELP}/", HELP),
        (f"  {HELP}\n", HELP),
        (HELP.upper(), HELP),
        (f"{HELP}:443", HELP),
        (f"{HELP}:00443", HELP),
        (f"{HELP}:8443", f"{HELP}:8443"),
        ("http://localhost:80", "http://localhost"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://[::1]:443", "https://[::1]"),
    ],
)
def test_two_spellings_of_an_endpoint_are_one_origin(text: str, origin: str) -> None:
    assert parse_origin(text) == origin
    assert parse_origin(origin) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ingest-help.westeurope.kusto.windows.net",
        "ftp://ingest-help.westeurope.kusto.windows.net",
        "https://",
        "https:///path",
        f"{HELP}/v1",
        f"{HELP}//",
        f"{HELP}?x=1",
        f"{HELP}#x",
        f"{HELP}\\@evil.example",
        f"{HELP}@evil.example",
        "https://user:word@ingest-help.westeurope.kusto.windows.net",
        f"{HELP}:0",
        f"{HELP}:65536",
        f"{HELP}:port",
        f"{HELP}:",
        f"{HELP}.",
        "https://ingest help.kusto.windows.net",
        "https://[::2]",
        "https://ingest-help.kusto.windows.net\nHost: evil.example",
        "https://ingest_help.kusto.windows.net",
    ],
)
def test_what_is_no_plain_origin_is_refused(text: str) -> None:
    with pytest.raises(EndpointNotAllowed, match="https://HOST"):
        parse_origin(text)


@pytest.mark.parametrize(
    "text", ["http://ingest-help.kusto.windows.net", "http://127.0.0.1.evil.example", "http://localhost.evil.example"]
)
def test_a_token_travels_unencrypted_on_this_machine_alone(text: str) -> None:
    with pytest.raises(EndpointNotAllowed, match="unencrypted"):
        parse_origin(text)


@pytest.mark.parametrize(
    "text",
    [
        "http\u017f://evil.example",
        "http\u017f://evil.example:8443",
        "https://inge\u017ft-help.kusto.windows.net",
        "https://\u0131ngest-help.kusto.windows.net",
        "https://ingest-help.\u212austo.windows.net",
    ],
)
def test_letters_that_only_fold_to_ascii_are_refused(text: str) -> None:
    with pytest.raises(EndpointNotAllowed):
        parse_origin(text)


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:8080", True),
        ("http://127.0.0.1", True),
        ("https://[::1]:8443", True),
        (HELP, False),
        ("https://localhost.evil.example", False),
        ("https://127.0.0.1.evil.example", False),
    ],
)
def test_only_this_machine_is_loopback(origin: str, *, expected: bool) -> None:
    assert is_loopback(origin) is expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (HELP, True),
        (f"{HELP}:8443", True),
        ("https://ingest-x.kusto.fabric.microsoft.com", True),
        ("https://ingest-x.z9.kusto.data.microsoft.com", True),
        ("https://ingest-x.kusto.chinacloudapi.cn", True),
        ("http://127.0.0.1:8080", True),
        ("https://kusto.windows.net.evil.example", False),
        ("https://evilkusto.windows.net", False),
        ("https://evil.example", False),
    ],
)
def test_the_domains_that_the_sdks_trust_are_known(origin: str, *, expected: bool) -> None:
    assert (doubtful_endpoint(origin) is None) is expected


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        (HELP, "help.westeurope"),
        ("https://ingest-x.kusto.fabric.microsoft.com", "x"),
        ("https://ingest-x.kusto.chinacloudapi.cn", "x"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://adx.example", "adx.example"),
        ("https://my-ingest-x.kusto.windows.net", "my-ingest-x"),
    ],
)
def test_a_cluster_has_a_name_for_people(origin: str, name: str) -> None:
    assert cluster_name(origin) == name


@pytest.mark.parametrize("offered", [None, "", HELP, f"{HELP.upper()}:443/"])
def test_a_message_means_the_default_cluster_in_any_spelling(offered: str | None) -> None:
    assert Endpoints(HELP).resolve(offered) == HELP


def test_a_message_may_name_a_further_endpoint_and_no_other() -> None:
    other = "https://ingest-other.kusto.windows.net"
    endpoints = Endpoints(HELP, frozenset({other}))
    assert endpoints.resolve(f"{other}/") == other
    for refused in ("https://ingest-third.kusto.windows.net", f"{other}:8443", f"{HELP}.evil.example"):
        with pytest.raises(EndpointNotAllowed, match="KUSTO_ALLOWED_INGEST_URIS"):
            endpoints.resolve(refused)


def test_a_refusal_does_not_repeat_what_may_be_a_password() -> None:
    with pytest.raises(EndpointNotAllowed) as refusal:
        Endpoints(HELP).resolve("https://user:hunter2@ingest-help.kusto.windows.net")
    assert "hunter2" not in str(refusal.value)

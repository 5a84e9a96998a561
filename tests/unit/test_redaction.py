import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import bare_url
from shared.redaction import redact

SECRET = "c2VjcmV0"
ACCOUNT_KEY = f"{SECRET}{'x' * 78}=="
WEB_TOKEN = f"eyJhbGciOiJub25lIn0.{SECRET}.x-_y"
VALUES = st.text("abcXYZ019%+/=-_.", max_size=40).map(lambda tail: SECRET + tail)
BEFORE = st.sampled_from(
    [
        "",
        " ",
        "?",
        "&",
        "se=2026&",
        "(",
        '"',
        "https://acc.blob.core.windows.net/in/a.csv?sv=1&",
        "https://acc.blob.core.windows.net/in/my file.csv?",
        "HTTPS://ACC.BLOB.CORE.WINDOWS.NET/in/a.csv?",
        "wasbs://box@acc.blob.core.windows.net/a.csv?",
    ]
)
AFTER = st.sampled_from(["", " failed", "&sp=r", '"', "'", ">", ";x=y", ", and"])


@given(st.text(), BEFORE, st.sampled_from(["sig=", "SIG=", "Sig="]), VALUES, AFTER)
def test_no_value_of_a_signature_is_left(start: str, before: str, name: str, value: str, after: str) -> None:
    assert SECRET not in redact(f"{start} {before}{name}{value}{after}")


@pytest.mark.parametrize(
    "text",
    [
        f"AccountName=a;AccountKey={SECRET}==;EndpointSuffix=core.windows.net",
        f"accountkey = {SECRET}",
        f'the Sig = "{SECRET}" is wrong',
        f'{{"sig": "{SECRET}"}}',
        f"SharedAccessKey={SECRET}",
        f"SharedAccessSignature={SECRET}",
        f'{{"access_token": "{SECRET}"}}',
        f"client_secret={SECRET}&grant_type=x",
        f"Password: {SECRET}",
        f"pwd={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"bearer {WEB_TOKEN}",
        f"the token {WEB_TOKEN} has expired",
        f"https://user:{SECRET}@host/in/a.csv",
        f"https://acc.blob.core.windows.net/in/a.csv;{SECRET}==",
        f"https://acc.blob.core.windows.net/in/a.csv#{SECRET}",
    ],
)
def test_keys_passwords_and_tokens_go(text: str) -> None:
    assert SECRET not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        f"sig='{SECRET}'",
        f"AccountKey='{SECRET}=='",
        rf"in/a.csv?sv=1\u0026sig={SECRET}",
        f"https%3A%2F%2Facc.blob.core.windows.net%2Fin%2Fa.csv%3Fsv%3D1%26sig%3D{SECRET}",
        f"https://acc.blob.core.windows.net/in/my file.csv;{ACCOUNT_KEY} failed",
        f"the account key {ACCOUNT_KEY} is wrong",
        f"Data Source=https://ingest-help.kusto.windows.net;AppKey={SECRET}",
        f"Application Key='{SECRET}'",
    ],
)
def test_quoted_escaped_and_spaced_secrets_go_too(text: str) -> None:
    assert SECRET not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mapping not found",
        "Stream with id 'https://acc.blob.core.windows.net/in/a.csv' has a malformed Csv format, record 12: 'a;b;c'",
        "signal = 5; the design was significant",
    ],
)
def test_what_a_person_needs_stays(text: str) -> None:
    assert redact(text) == text


LONG = 64_000


@pytest.mark.parametrize(
    "text",
    [
        "a" * LONG,
        "a.-+" * (LONG // 4),
        "-eyJ" * (LONG // 4),
        "-eyJ" * (LONG // 8) + "." + "x" * (LONG // 2),
        "eyJ." * (LONG // 4),
        "bearer " * (LONG // 7),
        "bearer" + " " * LONG,
        "sig" + " " * LONG,
        ("sig" + " " * 200) * (LONG // 203),
        "sig='" * (LONG // 5),
        "://" * (LONG // 3),
        "abfs://" + ":" * LONG,
        "https://" + "@" * LONG,
        "https://" + ":;@" * (LONG // 3),
        " \n" * (LONG // 2),
    ],
    ids=lambda text: text[:8],
)
def test_a_long_text_does_not_take_long(text: str) -> None:
    # Of this thread alone: a machine at work on other things is no slow search.
    began = time.thread_time()
    redact(text)
    bare_url(text)
    assert time.thread_time() - began < 5.0


@pytest.mark.parametrize("start", ["", "1", "a" * 1000, "-" * 1000])
def test_a_url_behind_a_long_word_loses_its_secret_too(start: str) -> None:
    assert SECRET not in redact(f"{start}https://acc.blob.core.windows.net/in/a.csv?sig={SECRET}")


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Basic dXNlcjpzM2NyM3Q0c2VjcmV0",
        "AwsCredentials=AKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "to https%253A%252F%252Facc.blob.core.windows.net%252Fc%252Fa%253Fsig%253Ds3cr3tsignature0123456789",
        "password=ab,s3cr3t",
        "x-functions-key: s3cr3tQ7fTz0a==",
        "AccountKey='s3cr3t part two s3cr3t'",
    ],
)
def test_no_secret_of_this_kind_gets_out(text: str) -> None:
    out = redact(text)
    for secret in ("dXNlcjpzM2NyM3Q0c2VjcmV0", "wJalrXUtnFEMI", "s3cr3t"):
        assert secret not in out

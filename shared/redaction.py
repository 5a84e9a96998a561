"""Texts from outside, without what may be a secret in them: an error message may quote a URL with its SAS.

The boundary is where a text comes in, so that what is inside can be stored and logged as it is: a status answer and an
error (``kusto.answers``, ``kusto.client``), a message's IDs and error texts (``messages``), an error of an SDK
(``invocation``, ``app``, ``kusto.tokens``, ``poll``), a setting that is wrong (``settings``), a log line of a library
(``library_logs``). URLs of blobs come in as they are, since they are read by; they lose their credentials where they
become a row (``outcome.keyed``). A message's ``properties`` and unknown fields go back into messages alone.
"""

import hashlib
import re
from urllib.parse import unquote

from shared.model import bare_url

# Bounded, or a long word would be looked through from each of its characters.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:(?:\\?/){2}[^\s\"'<>]+")
_ESCAPED_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}%3A%2F%2F[^\s\"'<>&]+", re.IGNORECASE)
_SETTING = re.compile(
    r"(?:(?<![a-z])|(?<=3F))"
    r"(sig|accountkey|appkey|application key|sharedaccesskey|sharedaccesssignature|awscredentials|x-functions-key"
    r"|(?:access|refresh|id)_token|client_secret|client_assertion|password|pwd|token(?==))"
    r"((?:\\?[\"'])?\s*(?:[=:]|%(?:25)*3D)\s*(?:\\?([\"']))?)"
    # To the end of the quotation; else to what ends a value, which a comma within a word does not.
    r"(?(3)(?:(?!\3)[^\\\n]){1,500}|(?:(?!%(?:25)*26)[^\s\"'&;,<>\\]|,(?=\S))+)",
    re.IGNORECASE,
)
# An account key, wherever it stands: 88 characters of base64. One without its end is told from a path and from a hash
# by having no slash, and characters of every kind.
_ACCOUNT_KEY = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86,}(?:==|(?:%3D){2})", re.IGNORECASE)
_LONG_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+])(?=[a-z0-9+]*[A-Z])(?=[A-Z0-9+]*[a-z])(?=[A-Za-z+]*[0-9])[A-Za-z0-9+]{80,}={0,2}"
)
# With a digit: an error text may be about a bearer token, or the basic tier, without quoting a secret.
_CREDENTIALS = re.compile(r"\b(bearer|basic)(\s+|%20)(?=[a-z._~+/=-]*[0-9])[a-z0-9._~+/=-]+", re.IGNORECASE)
_JSON_WEB_TOKEN = re.compile(r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{1,1000}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?")


def redact(text: str) -> str:
    """``text`` with every URL bare, and every key, signature and token that can be told replaced by an ellipsis."""
    return _LONG_BASE64.sub("…", _without_certain(text))


def redacted_line(error: BaseException | str) -> str:
    """The first line of an error's text, redacted: what follows it is for who may see more than a log has."""
    return redact(str(error).strip().partition("\n")[0])


def _without_certain(text: str) -> str:
    """``text`` without what its surroundings, or its form, say is a secret."""
    text = _ESCAPED_URL.sub(lambda found: bare_url(unquote(found[0])), text)
    text = _URL.sub(lambda found: bare_url(found[0].replace("\\/", "/")), text)
    text = _SETTING.sub(r"\1\2…", text)
    text = _CREDENTIALS.sub(r"\1\2…", text)
    text = _JSON_WEB_TOKEN.sub("…", text)
    return _ACCOUNT_KEY.sub("…", text)


def holds_secret(text: str) -> bool:
    """Whether a text has something in it that ``redact`` would take out."""
    return redact(text) != text


def holds_certain_secret(text: str) -> bool:
    """The same, but for what could as well be an ID: many letters and digits."""
    return _without_certain(text) != text


def redacted_id(text: str) -> str:
    """An ID as it is; one that holds a secret as a digest, so that it still names the same thing and no other."""
    return f"sha256-{hashlib.sha256(text.encode()).hexdigest()[:32]}" if holds_secret(text) else text

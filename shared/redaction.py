"""Texts from outside, without what may be a secret in them: an error message may quote a URL with its SAS."""

import re

from shared.model import bare_url

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]+")
_SETTING = re.compile(
    r"(?<![a-z])(sig|accountkey|appkey|application key|sharedaccesskey|sharedaccesssignature|access_token|client_secret"
    r"|password|pwd)([\"']?\s*(?:[=:]|%3D)\s*[\"']?)(?:(?!%26)[^\s\"'&;,<>\\])+",
    re.IGNORECASE,
)
# An account key, wherever it stands: 88 characters of base64.
_LONG_BASE64 = re.compile(r"[A-Za-z0-9+/]{80,}={0,2}")
_BEARER = re.compile(r"\b(bearer)\s+[A-Za-z0-9._~+/=-]+", re.IGNORECASE)
_JSON_WEB_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


def redact(text: str) -> str:
    """``text`` with every URL bare, and every key, signature and token that can be told replaced by an ellipsis."""
    text = _URL.sub(lambda found: bare_url(found[0]), text)
    text = _SETTING.sub(r"\1\2…", text)
    text = _BEARER.sub(r"\1 …", text)
    text = _JSON_WEB_TOKEN.sub("…", text)
    return _LONG_BASE64.sub("…", text)

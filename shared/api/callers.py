"""Who asks, and whether they may.

With ``API_AUTH=keys`` the host lets nobody in without a function key, and the key's digest says whose it is. With
``entra`` App Service authentication stands before the app and says in headers who has signed in: "External requests
aren't allowed to set these headers, so they're present only if App Service sets them"
(https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities). Where it is not on, nobody
takes them out of what comes from outside, so that nobody is believed then.
"""

import base64
import hashlib
import json
from urllib.parse import parse_qsl

from shared.api.parameters import KEY
from shared.api.problems import NotAuthenticated
from shared.api.request import Request
from shared.fields import Fields, MessageRefused, Object
from shared.redrive_request import LONGEST_NAME, name_of
from shared.settings import ApiAuth, Settings

_PRINCIPALS = ("x-ms-client-principal-name", "x-ms-client-principal-id")
"""A service has no name, only an ID."""

_CLAIMS = "x-ms-client-principal"
"""All claims, as base64 of JSON: it has been seen to come alone on Linux
(https://learn.microsoft.com/answers/questions/2143399)."""

_NAMING = (
    "preferred_username",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "oid",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
    "sub",
)
"""Claims that say who it is, the best one first; the platform gives some of the token's a longer name."""


def check_caller(request: Request, settings: Settings) -> None:
    """Let in who may ask.

    Raises:
        NotAuthenticated: App Service authentication is to say who it is, and does not.
    """
    if settings.api_auth is not ApiAuth.ENTRA:
        return
    if not settings.platform_authenticates:
        raise NotAuthenticated("API_AUTH is 'entra' and App Service authentication is not on: turn it on for this app")
    if not _principal(request):
        raise NotAuthenticated("sign in: App Service authentication has let this request pass without a principal")


def asked_by(request: Request, settings: Settings, content: Object) -> str:
    """Who asks, as it is written down: the name that ``as`` gives, beside what proves it.

    Raises:
        MessageRefused: nobody is named, or not in 1 to 100 characters.
    """
    proven = proof(request, settings)
    named = Fields(content).string("as")
    if named is None and proven:
        return name_of(proven)
    name = name_of(named or "")
    return f"{name} ({proven})" if proven else name


def proof(request: Request, settings: Settings) -> str:
    """What proves who asks: the principal's name, or the key's digest; "" where the host lets in whoever comes."""
    return _principal(request)[:LONGEST_NAME] if settings.api_auth is ApiAuth.ENTRA else _key(request)


def without_asking(content: Object) -> Object:
    """What is asked, without who asks."""
    return {name: value for name, value in content.items() if name != "as"}


def _principal(request: Request) -> str:
    names = (request.headers.get(each, "") for each in _PRINCIPALS)
    told = (" ".join(each.split()) for each in (*names, _claimed(request.headers.get(_CLAIMS, ""))))
    return next(filter(None, told), "")


def _claimed(header: str) -> str:
    """Whom the claims name; "" if nobody, or if they can't be read."""
    try:
        content = json.loads(base64.b64decode(header, validate=True))
        claims = Fields(content if isinstance(content, dict) else {}).objects("claims")
        values = {Fields(each).string("typ"): Fields(each).string("val") for each in reversed(claims)}
    except (ValueError, RecursionError, MessageRefused):
        return ""
    return next(filter(None, map(values.get, _NAMING)), "") or ""


def _key(request: Request) -> str:
    """The key by its digest, of which the key can't be told.

    The host looks at the first header of the name alone, and hands over all of them, joined by commas: what follows
    could be made up so that the digest is somebody else's.
    """
    codes = (value for name, value in parse_qsl(request.query) if name.lower() == KEY)
    key = request.headers.get("x-functions-key", "").partition(",")[0] or next(codes, "")
    return f"key {hashlib.sha256(key.encode(errors='replace')).hexdigest()[:8]}" if key else ""

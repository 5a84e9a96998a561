"""Who asks, and whether they may.

With ``API_AUTH=keys`` the host lets nobody in without a function key, and the key's digest says whose it is. With
``entra`` App Service authentication stands before the app and says in headers who has signed in: "External requests
aren't allowed to set these headers, so they're present only if App Service sets them"
(https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities). Where it is not on, nobody
takes them out of what comes from outside, so that nobody is believed then.
"""

import hashlib
from urllib.parse import parse_qsl

from shared.api.parameters import KEY
from shared.api.problems import NotAuthenticated
from shared.api.request import Request
from shared.fields import Fields, Object
from shared.redrive_request import LONGEST_NAME, name_of
from shared.settings import ApiAuth, Settings

_PRINCIPALS = ("x-ms-client-principal-name", "x-ms-client-principal-id")
"""A service has no name, only an ID."""


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
    names = (" ".join(request.headers.get(each, "").split()) for each in _PRINCIPALS)
    return next(filter(None, names), "")


def _key(request: Request) -> str:
    """The key by its digest, of which the key can't be told."""
    codes = (value for name, value in parse_qsl(request.query) if name.lower() == KEY)
    key = request.headers.get("x-functions-key") or next(codes, "")
    return f"key {hashlib.sha256(key.encode()).hexdigest()[:8]}" if key else ""

"""HTTP requests and answers as the records that Azure's host exchanges with its worker."""

from collections.abc import Iterable, Mapping
from email.utils import formatdate
from urllib.parse import quote

from aiohttp import web

from local.functions_host.protobuf import Record, RpcHttp, RpcHttpCookie, TypedData

# The server's own business: a length that is wrong would break the connection.
FRAMING = {"content-length", "transfer-encoding"}


async def request_data(request: web.Request, route_values: Mapping[str, str]) -> TypedData:
    """Makes of a request what the real host sends.

    Args:
        request: The request; its body is read.
        route_values: The values of the route's parameters.

    Returns:
        The record.
    """
    query = _joined(request.query.items())
    target = request.rel_url.raw_path + ("?" if request.rel_url.raw_query_string else "")
    return TypedData(
        http=RpcHttp(
            method=request.method,
            url=f"{request.scheme}://{request.host}{target}{request.rel_url.raw_query_string}",
            headers=_joined(request.headers.items()),
            query={name: value for name, value in query.items() if value},
            params=route_values,
            body=TypedData(bytes=await request.read()),
        )
    )


def response(answer: Record) -> web.Response:
    """Makes the response of what a function answered.

    Args:
        answer: The worker's record of an invocation that succeeded.

    Returns:
        The response; an empty one with status 200 when the function set none.
    """
    returned = [answer.return_value, *(output.data for output in answer.output_data)]
    data = next((value for value in returned if value is not None), TypedData(bytes=b""))
    match data.WhichOneof("data"):
        case "http":
            headers = [(name, value) for name, value in data.http.headers.items() if name.lower() not in FRAMING]
            headers += [("Set-Cookie", _set_cookie(cookie)) for cookie in data.http.cookies or ()]
            return web.Response(status=int(data.http.status_code), headers=headers, body=data.http.body.bytes)
        case "string":
            return web.Response(text=data.string)
        case _:
            return web.Response()


def _joined(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Joins the values of a name, whatever its case, by commas; empty ones are left out, as ASP.NET does."""
    spelled: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in items:
        values.setdefault(spelled.setdefault(name.lower(), name), []).append(value)
    return {name: ",".join(filter(None, several)) for name, several in values.items()}


def _set_cookie(cookie: RpcHttpCookie) -> str:
    """Returns the header, its value encoded by ASP.NET's rule."""
    parts = [f"{cookie.name}={quote(cookie.value, safe='')}"]
    if cookie.expires:
        parts.append(f"expires={formatdate(cookie.expires.value.seconds, usegmt=True)}")
    if cookie.max_age:
        parts.append(f"max-age={int(cookie.max_age.value)}")
    if cookie.domain.value:
        parts.append(f"domain={cookie.domain.value}")
    if cookie.path.value:
        parts.append(f"path={cookie.path.value}")
    if cookie.secure.value:
        parts.append("secure")
    if cookie.same_site:
        parts.append(f"samesite={cookie.same_site}")
    if cookie.http_only.value:
        parts.append("httponly")
    return "; ".join(parts)

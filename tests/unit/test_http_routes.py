"""Which requests a route of the local Functions host takes, and which routes it refuses."""

from collections.abc import Sequence

import pytest

from local.functions_host.routes import Route, decode, find, in_order
from local.functions_host.worker import AppRefused, Function


def function(name: str, route: str | None = None, methods: Sequence[str] = ()) -> Function:
    return Function(function_id=name, name=name, trigger={"type": "httpTrigger", "route": route, "methods": methods})


def values(template: str, path: str) -> dict[str, str] | None:
    return Route.of(function("f", template), "api").match("GET", path)


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("hello", "/api/hello", {}),
        ("hello", "/API/Hello/", {}),
        ("hello/", "/api/hello", {}),
        ("{a}/to/{b}", "/api/1/to/2", {"a": "1", "b": "2"}),
        ("a/{b?}", "/api/a", {}),
        ("a/{b?}", "/api/a/", {}),
        ("a/{b?}", "/api/a/B", {"b": "B"}),
        ("a/{b:int?}", "/api/a/2", {"b": "2"}),
        ("a/{*rest}", "/api/a", {}),
        ("a/{*rest}", "/api/a/", {}),
        ("a/{*rest}", "/api/a/b/c/", {"rest": "b/c/"}),
        ("{**rest}", "/api/b/c", {"rest": "b/c"}),
        ("{n:int}", "/api/-2147483648", {"n": "-2147483648"}),
        ("{n:long}", "/api/2147483648", {"n": "2147483648"}),
        ("{b:bool}", "/api/True", {"b": "True"}),
        ("{a:alpha}", "/api/aZ", {"a": "aZ"}),
        ("{g:guid}", "/api/00001111aaaa2222BBBB3333CCCC4444", {"g": "00001111aaaa2222BBBB3333CCCC4444"}),
        ("{g:guid}", "/api/00001111-aaaa-2222-bbbb-3333cccc4444", {"g": "00001111-aaaa-2222-bbbb-3333cccc4444"}),
    ],
)
def test_a_path_that_fits_gives_its_values(template: str, path: str, expected: dict[str, str]) -> None:
    assert values(template, path) == expected


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("hello", "/hello"),
        ("hello", "/api"),
        ("hello", "/api/hello/you"),
        ("hello", "/api/hello//"),
        ("hello", "*"),
        ("{a}", "/api/"),
        ("{a}/b", "/api//b"),
        ("a/{b:int?}", "/api/a/x"),
        ("{n:int}", "/api/2147483648"),
        ("{n:int}", "/api/1.5"),
        ("{n:long}", "/api/9223372036854775808"),
        ("{b:bool}", "/api/1"),
        ("{a:alpha}", "/api/ä"),
        ("{g:guid}", "/api/{00001111-aaaa-2222-bbbb-3333cccc4444"),
        ("{g:guid}", "/api/00001111-aaaa-2222-bbbb-3333cccc444g"),
    ],
)
def test_a_path_that_does_not_fit_is_another_functions(template: str, path: str) -> None:
    assert values(template, path) is None


def test_the_route_of_a_function_without_one_is_its_name() -> None:
    assert Route.of(function("Hello"), "").match("GET", "/hello") == {}


def test_methods_tell_functions_of_one_route_apart() -> None:
    routes = in_order(
        [Route.of(function("put", "a", ["PUT"]), ""), Route.of(function("get", "a", ["get", "HEAD"]), "")]
    )
    found = {method: find(routes, method, "/a") for method in ("GET", "HEAD", "PUT", "POST")}
    names = {method: pair[0].name if pair else None for method, pair in found.items()}
    assert names == {"GET": "get", "HEAD": "get", "PUT": "put", "POST": None}


def test_of_functions_that_fit_the_first_by_name_is_called() -> None:
    routes = in_order(Route.of(function(name, route), "") for name, route in (("b", "x"), ("A", "{any}")))
    found = find(routes, "GET", "/x")
    assert found is not None
    assert (found[0].name, found[1]) == ("A", {"any": "x"})


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        ("/a%20b+c", "/a b+c"),
        ("/%C3%BC%2F%c3%bc%2f", "/ü%2Fü%2f"),
        ("/%252F", "/%2F"),
        ("/%FF/%41", "/%FF/A"),
        ("/100%", "/100%"),
    ],
)
def test_a_path_is_decoded_but_for_slashes(raw: str, decoded: str) -> None:
    assert decode(raw) == decoded


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ("admin/x", "reserved"),
        ("/Runtime", "reserved"),
        ("/a", "empty segment"),
        ("a//b", "empty segment"),
        ("{a?}/b", "before its last segment"),
        ("{*a}/b", "before its last segment"),
        ("{a=1}", "not imitated"),
        ("x{a}", "not imitated"),
        ("{a}-{b}", "not imitated"),
        ("{a:regex(x)}", "not imitated"),
        ("{a:float}", "not imitated"),
        ("{a", "not imitated"),
    ],
)
def test_a_route_that_is_not_taken_is_named(route: str, message: str) -> None:
    with pytest.raises(AppRefused, match=message):
        Route.of(function("f", route), "api")


@pytest.mark.parametrize("methods", [["GET", "PUT"], []])
def test_two_functions_of_one_route_are_named(methods: list[str]) -> None:
    routes = [Route.of(function("f", "a/{b}", ["GET"]), "api"), Route.of(function("g", "A/{b}", methods), "api")]
    with pytest.raises(AppRefused, match="f and g have the same route"):
        in_order(routes)

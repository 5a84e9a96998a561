import re

import pytest

from shared.dashboard_files import FOLDER, START, serve, start


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_every_file_is_served_as_it_is_and_asked_for_anew_only_when_it_changed(path: object) -> None:
    name = str(path).rpartition("/")[2]
    reply = serve(name)
    assert (reply.status, reply.body) == (200, (FOLDER / name).read_bytes())
    assert reply.headers["Cache-Control"] == "no-cache"
    for known in (reply.headers["ETag"], f'"other", W/{reply.headers["ETag"]}'):
        again = serve(name, known)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", reply.headers["ETag"])
    assert serve(name, '"other"').status == 200


def test_the_headers_let_a_browser_do_nothing_but_what_the_page_needs() -> None:
    for reply in (serve(START), serve("page.js"), serve("nothing")):
        policy = reply.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; ")
        assert "require-trusted-types-for 'script'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"


def test_the_page_has_one_address() -> None:
    page = start("https://app.example/api/dashboard?a=b/")
    assert (page.status, page.body) == (200, serve(START).body)
    assert start("https://app.example/api/dashboard", page.headers["ETag"]).status == 304
    slash = start("https://app.example/api/dashboard/?a=b")
    assert (slash.status, slash.headers["Location"], slash.body) == (308, "../dashboard", b"")


@pytest.mark.parametrize("name", ["../dashboard_files.py", "..", "", "page.js/", "/etc/passwd", "%2e%2e", "PAGE.JS"])
def test_there_is_nothing_else_to_be_had(name: str) -> None:
    assert serve(name).status == 404


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_inline() -> None:
    html = (FOLDER / "index.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"#][^"]*)"', html)
    assert {source.partition("/")[0] for source in sources} == {"dashboard"}
    assert {source.partition("/")[2] for source in sources} <= {path.name for path in FOLDER.iterdir()}
    assert not re.search(r"<style|<script>|\sstyle=|\son[a-z]+=", html)
    code = "".join(path.read_text() for path in FOLDER.glob("*.js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", code)
    imported = set(re.findall(r'from "([^"]+)"', code))
    assert all(name.startswith("./") and (FOLDER / name).is_file() for name in imported)

"""What `./dev check` says of the dashboard's files: nothing of those that are there, and each fault of others."""

import shutil
from pathlib import Path

import pytest

from local.page_check import __main__ as command
from local.page_check import checks, declarations
from local.page_check.checks import CONFIGURATION, PAGE, findings
from local.processes import REPOSITORY, ProcessFailed

# What is added to a file, and what is said of it, in a line with its place.
PLANTED = {
    "format.js": (
        'export const length = number("12");\n',
        "Argument of type 'string' is not assignable to parameter of type 'number'",
    ),
    "health.js": ('export const missing = () => at("nowhere");\n', "Argument of type '\"nowhere\"' is not assignable"),
    "states.js": (
        "/** @param {Api.Operation} operation */\nexport const owner = (operation) => operation.owner;\n",
        "Property 'owner' does not exist on type 'Operation'",
    ),
    "key.js": ('export const isHeld = () => held != "";\n', "lint/suspicious/noDoubleEquals"),
    "view.js": ("export const spaced   = 1;\n", "format ━"),
    "page.css": (".quiet { colour: red; }\n", "lint/correctness/noUnknownProperty"),
    "index.html": ('<img id="logo" src="dashboard/icon.svg">\n', "lint/a11y/useAltText"),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The page with what it is checked by, to be spoilt."""
    for folder in (CONFIGURATION, PAGE):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    return tmp_path


def test_there_is_nothing_to_mend(copy: Path) -> None:
    assert findings(copy) == []


def test_each_fault_is_found_and_has_its_place(copy: Path) -> None:
    for name, (added, _) in PLANTED.items():
        path = copy / PAGE / name
        path.write_text(path.read_text() + added)
    outdated, *complaints = findings(copy)
    assert outdated == "local/page_check/declarations.d.ts is not what it is made of; run ./dev lock"
    lines = [line for text in complaints for line in text.splitlines()]
    for name, (_, said) in PLANTED.items():
        assert any(line.startswith(f"shared/dashboard/{name}") and said in line for line in lines), name


def test_what_does_not_come_to_an_end_is_named(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LONGEST_SECONDS", 0.01)
    with pytest.raises(ProcessFailed, match=r"bin/tsc was not done after 0\.01 s"):
        findings(copy)


def test_the_declarations_know_each_kind_of_schema_or_refuse_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = declarations.declarations()
    assert "    correlationId: string | null;\n" in text
    assert '    status: "healthy" | "unhealthy";\n' in text
    assert "        TimedOut?: number;\n" in text
    assert '  "key-dialog": HTMLElementTagNameMap["dialog"];\n' in text
    monkeypatch.setattr(declarations, "ANSWERS", ("Nothing",))
    monkeypatch.setattr(declarations, "schemas", lambda *_, **__: {"Nothing": {"type": "void"}})
    with pytest.raises(ValueError, match="'void'"):
        declarations.declarations()


def test_the_command_fails_with_what_there_is_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "findings", lambda: ["one", "other"])
    with pytest.raises(SystemExit, match=r"^one\nother$"):
        command.main()
    monkeypatch.setattr(command, "findings", list)
    command.main()

    def fail() -> list[str]:
        raise ProcessFailed("no way to npm")

    monkeypatch.setattr(command, "findings", fail)
    with pytest.raises(SystemExit, match="no way to npm"):
        command.main()

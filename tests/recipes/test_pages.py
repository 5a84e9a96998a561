"""The pages of the recipes: each is in the index, has what is to be copied on top, and says what was tried."""

import re
from pathlib import Path

import pytest

from tests.recipes import pages

PAGES = sorted(page for page in pages.FOLDER.glob("*.md") if page.name != "README.md")
TESTS = Path(__file__).parent
_WORDS_BEFORE = 40


def test_the_index_has_every_page_once_and_no_other() -> None:
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (pages.FOLDER / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [page.name for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_to_be_copied_stands_on_top(page: Path) -> None:
    before = page.read_text(encoding="utf-8").partition("\n```")[0]
    assert before.startswith("# ")
    assert len(before.split()) <= _WORDS_BEFORE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_ends_with_what_was_tried_and_by_which_test(page: Path) -> None:
    last = page.read_text(encoding="utf-8").strip().rpartition("\n\n")[2]
    assert re.fullmatch(r"\*Tried: .*\*", last, re.DOTALL)
    named = re.findall(r"`tests/recipes/(test_\w+\.py)`", last)
    assert named
    for name in named:
        assert page.stem in (TESTS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_no_key_and_no_signature(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"sig=[\w%]{8,}|AccountKey=|[A-Za-z0-9+/]{86}==", text) == []


def test_a_snippet_that_has_changed_under_a_test_is_an_error() -> None:
    with pytest.raises(ValueError, match="has no KEY"):
        pages.filled("curl x", KEY="k")
    with pytest.raises(ValueError, match="has no 'a'"):
        pages.replaced("b", ("a", "c"))

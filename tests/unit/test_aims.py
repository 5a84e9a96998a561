"""The summary of results.md has each section's aims, whatever else is in the sections."""

from benchmarks.aims import Aim, summary, table

OTHER = "| Aim | at most 8 |\n| --- | --- |\n| no aim | yes |"


def test_the_summary_has_the_aims_of_all_sections_in_their_order() -> None:
    first = table([Aim("at least 3", "3.4", is_reached=True), Aim("at most 8", "9", is_reached=False)])
    sections = {
        "clients": f"Words.\n\n{first}\n\n{OTHER}\n",
        "scale": OTHER,
        "peers": table([Aim("a", "b", is_reached=True)]),
    }
    assert summary(sections).splitlines()[2:] == [
        "| [clients](#clients) | at least 3 | 3.4 | yes |",
        "| [clients](#clients) | at most 8 | 9 | **no** |",
        "| [peers](#peers) | a | b | yes |",
    ]


def test_there_is_no_summary_of_nothing() -> None:
    assert summary({"scale": OTHER}) == ""

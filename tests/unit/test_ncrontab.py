from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from shared.ncrontab import is_ncrontab, longest_gap


def with_field(place: int, field: str) -> str:
    fields = ["*"] * 6
    fields[place] = field
    return " ".join(fields)


SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY = range(6)


@pytest.mark.parametrize(
    "expression",
    [
        "*/15 * * * * *",
        "0 */5 * * * *",
        "0 0 9-17 * * MON-FRI",
        "0 30 9 * Jan Mon",
        "  0   0\t0 1 1 0  ",
        "0,15,30-45/5,*/20 0 0 1,15 jan,6-12 sun,3-6",
    ],
)
def test_six_fields_are_an_expression(expression: str) -> None:
    assert is_ncrontab(expression)


@pytest.mark.parametrize(
    ("place", "least", "most"),
    [(SECOND, 0, 59), (MINUTE, 0, 59), (HOUR, 0, 23), (DAY, 1, 31), (MONTH, 1, 12), (WEEKDAY, 0, 6)],
)
def test_each_field_has_its_bounds(place: int, least: int, most: int) -> None:
    for right in (f"{least}", f"{most}", f"0{most}", f"{least}-{most}", f"{least}-{least}", f"{least},{most}"):
        assert is_ncrontab(with_field(place, right)), right
    for wrong in (f"{least - 1}", f"{most + 1}", f"{least}-{most + 1}", f"{most}-{least}", f"{least},{most + 1}"):
        assert not is_ncrontab(with_field(place, wrong)), wrong


@pytest.mark.parametrize("name", ["JAN", "feb", "Mar", "aPR", "MAY", "jun", "Jul", "aUG", "SEP", "oct", "Nov", "dEC"])
def test_a_month_has_a_name_in_any_casing(name: str) -> None:
    assert is_ncrontab(with_field(MONTH, name))
    for place in (SECOND, MINUTE, HOUR, DAY, WEEKDAY):
        assert not is_ncrontab(with_field(place, name))


@pytest.mark.parametrize("name", ["SUN", "mon", "Tue", "wEd", "THU", "fri", "Sat"])
def test_a_day_of_the_week_has_a_name_in_any_casing(name: str) -> None:
    assert is_ncrontab(with_field(WEEKDAY, name))
    for place in (SECOND, MINUTE, HOUR, DAY, MONTH):
        assert not is_ncrontab(with_field(place, name))


@pytest.mark.parametrize(("place", "field"), [(MONTH, "January"), (WEEKDAY, "Monday"), (WEEKDAY, "Monday-Friday")])
def test_a_whole_name_is_taken_too(place: int, field: str) -> None:
    assert is_ncrontab(with_field(place, field))


@pytest.mark.parametrize("field", ["JAN-DEC", "jan-3", "2-FEB", "MAR,JUN", "jan-jun/2", "*/3", "dec"])
def test_names_and_numbers_go_together_in_ranges_lists_and_steps(field: str) -> None:
    assert is_ncrontab(with_field(MONTH, field))


@pytest.mark.parametrize("field", ["DEC-JAN", "jun-5", "12-jan", "xyz", "jan-", "-jan", "13", "january1", "jan feb"])
def test_what_is_no_range_of_months_is_refused(field: str) -> None:
    assert not is_ncrontab(with_field(MONTH, field))


@pytest.mark.parametrize("field", ["*/1", "*/15", "5/15", "0-30/10", "0-30/10,45"])
def test_a_step_follows_a_star_a_start_or_a_range(field: str) -> None:
    assert is_ncrontab(with_field(SECOND, field))


@pytest.mark.parametrize(
    "field",
    ["*/0", "*/00", "0-30/0", "5/0", "*/", "/5", "*/*", "*/-5", "*/x", "*/5/5", "*-5", "*5", "1-2-3", "*/99999"],
)
def test_what_is_no_step_is_refused(field: str) -> None:
    assert not is_ncrontab(with_field(SECOND, field))


@pytest.mark.parametrize(
    "field", ["", ",", "1,", ",1", "1,,2", "-", "-1", "1-", "?", "L", "1W", "1#2", "+1", "1.5", "٣", "1\u2013 2"]
)
def test_what_is_no_list_of_numbers_is_refused(field: str) -> None:
    assert not is_ncrontab(with_field(SECOND, field))


@pytest.mark.parametrize(
    "expression",
    ["", " ", "* * * * *", "*/15 * * * *", "* * * * * * *", "00:00:15", "every minute", "%POLL_SCHEDULE%", "@hourly"],
)
def test_other_than_six_fields_is_refused(expression: str) -> None:
    assert not is_ncrontab(expression)


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [
        ("* * * * * *", 1),
        ("*/15 * * * * *", 15),
        ("*/7 * * * * *", 7),
        ("5/20 * * * * *", 20),
        ("0,1 * * * * *", 59),
        ("0 */5 * * * *", 300),
        ("0 0 */6 * * *", 6 * 3600),
        ("0 0 9-17 * * *", 16 * 3600),
        ("0 30 9 * * *", 24 * 3600),
        ("0 30 9 1-31 jan-dec sun-sat", 24 * 3600),
        ("0 0 9 * * MON-FRI", None),
        ("0 0 9 1 * *", None),
        ("0 0 9 * 1-6 *", None),
    ],
)
def test_the_longest_gap_between_two_runs(expression: str, seconds: int | None) -> None:
    assert longest_gap(expression) == (None if seconds is None else timedelta(seconds=seconds))


@given(st.tuples(*(st.sampled_from(["*", "*/7", "3", "1-5", "10-20/3", "0,30"]) for _ in range(2)), st.just("*/5")))
def test_the_longest_gap_is_that_of_the_runs_of_a_day(fields: tuple[str, ...]) -> None:
    expression = f"{' '.join(fields)} * * *"
    times = croniter(expression, datetime(2026, 11, 25, tzinfo=UTC), second_at_beginning=True)
    runs = [times.get_next(datetime)]
    while runs[-1] - runs[0] < timedelta(days=1):
        runs.append(times.get_next(datetime))
    assert longest_gap(expression) == max(later - earlier for earlier, later in pairwise(runs))

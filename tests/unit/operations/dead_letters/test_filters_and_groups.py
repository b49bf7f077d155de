"""Letters are found by code, field, origin, time and place, and counted by why they were refused."""

import pytest

from stream.configuration.settings import TopicSettings
from stream.contracts.emission import Origin
from stream.operations.dead_letters.filters import Filter, InvalidFilter, check_code, read_origin, read_place
from stream.operations.dead_letters.groups import Groups
from stream.operations.dead_letters.letters import Letter, Place
from tests.unit.operations.dead_letters.letters import EVENTS, NOW, foreign, letter

PRICED = letter(b"{}", field="$.items[3].price", origin=Origin(EVENTS, 2, 100), place=Place(1, 5))
LATE = letter(b"{}", "too_late", field="$.time", refused_at=NOW + 10, place=Place(2, 6))
SETTINGS = TopicSettings()


def origin(text: str) -> Filter:
    return Filter(origins=(read_origin(text, SETTINGS),))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), [PRICED, LATE]),
        (Filter(codes=("too_late",)), [LATE]),
        (Filter(codes=("too_late", "out_of_range")), [PRICED, LATE]),
        (Filter(fields=("$.items[3].price",)), [PRICED]),
        (Filter(fields=("$.items[*].price",)), [PRICED]),
        (Filter(fields=("$.items[4].price",)), []),
        (Filter(codes=("too_late",), fields=("$.items[*].price",)), []),
        (Filter(since=NOW + 10), [LATE]),
        (Filter(until=NOW + 10), [PRICED]),
        (Filter(places=frozenset({Place(1, 5)})), [PRICED]),
        (origin("events"), [PRICED, LATE]),
        (origin("customer.events.v1/2"), [PRICED]),
        (origin("events/2/100"), [PRICED]),
        (origin("events/2/0-99"), []),
        (origin("events/2/100-200"), [PRICED]),
        (origin("score-requests"), []),
    ],
)
def test_letters_are_found(wanted: Filter, found: list[Letter]) -> None:
    assert [each for each in (PRICED, LATE) if wanted.holds(each)] == found


def test_a_record_that_is_no_letter_is_found_by_its_own_code_and_comes_from_nowhere() -> None:
    assert Filter(codes=("foreign",)).holds(foreign(b"x"))
    assert not origin("events").holds(foreign(b"x"))


@pytest.mark.parametrize("text", ["events/x", "events/1/2/3", "events/1/5-", "", "/1"])
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(InvalidFilter, match="is no origin"):
        read_origin(text, SETTINGS)


def test_codes_and_places_are_read_as_people_type_them() -> None:
    assert (check_code("too-late"), read_place("3:17")) == ("too_late", Place(3, 17))
    with pytest.raises(InvalidFilter, match="it is one of not_json"):
        check_code("late")
    with pytest.raises(InvalidFilter, match="PARTITION:OFFSET"):
        read_place("17")


def test_groups_count_lines_of_an_order_as_one_field_and_show_the_newest() -> None:
    groups = Groups()
    for number, moment in enumerate((20, 30, 10)):
        each = letter(b"{}", field=f"$.items[{number}].price", refused_at=moment, place=Place(0, number))
        groups.add(each, each.code, each.field, f"line {number}")
    groups.add(LATE, LATE.code, LATE.field, LATE.message)
    first, second = groups.listed()
    assert (first.code, first.field, first.letters) == ("out_of_range", "$.items[*].price", 3)
    assert (first.first, first.last, first.example, first.message) == (10, 30, "0:1", "line 1")
    assert (second.code, second.letters) == ("too_late", 1)

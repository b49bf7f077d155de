"""Quiet hours: which moments lie in them, when they end, and what is refused."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.decisions.quiet_hours import QuietHours

LONDON = ZoneInfo("Europe/London")
NIGHT = QuietHours(begin="21:00", end="08:00", time_zone="Europe/London")
NOON = QuietHours(begin="12:00", end="14:00")


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def over(hours: QuietHours, at: datetime) -> datetime:
    return datetime.fromtimestamp(hours.over_at(ms(at)) / 1000, UTC)


def test_without_hours_no_moment_is_quiet() -> None:
    assert QuietHours().over_at(1_309_500_000_123) == 1_309_500_000_123


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(2011, 1, 10, 20, 59, tzinfo=UTC), datetime(2011, 1, 10, 20, 59, tzinfo=UTC)),
        (datetime(2011, 1, 10, 21, 0, tzinfo=UTC), datetime(2011, 1, 11, 8, 0, tzinfo=UTC)),
        (datetime(2011, 1, 11, 7, 59, tzinfo=UTC), datetime(2011, 1, 11, 8, 0, tzinfo=UTC)),
        (datetime(2011, 1, 11, 8, 0, tzinfo=UTC), datetime(2011, 1, 11, 8, 0, tzinfo=UTC)),
        # The night in which the clocks go forward is an hour shorter: 08:00 in London is 07:00 UTC.
        (datetime(2011, 3, 26, 23, 0, tzinfo=UTC), datetime(2011, 3, 27, 7, 0, tzinfo=UTC)),
        # And the one in which they go back an hour longer.
        (datetime(2011, 10, 29, 23, 0, tzinfo=UTC), datetime(2011, 10, 30, 8, 0, tzinfo=UTC)),
    ],
)
def test_a_night_ends_by_the_clocks_of_its_zone(at: datetime, expected: datetime) -> None:
    assert over(NIGHT, at) == expected


def test_hours_within_a_day() -> None:
    day = datetime(2011, 5, 5, tzinfo=UTC)
    assert over(NOON, day + timedelta(hours=13, minutes=59)) == day + timedelta(hours=14)
    assert over(NOON, day + timedelta(hours=14)) == day + timedelta(hours=14)
    assert over(NOON, day + timedelta(hours=23)) == day + timedelta(hours=23)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)), st.sampled_from([NIGHT, NOON]))
def test_the_end_is_never_quiet_itself_and_at_most_a_day_away(at: datetime, hours: QuietHours) -> None:
    now = ms(at.replace(tzinfo=UTC))
    end = hours.over_at(now)
    assert now <= end <= now + 25 * 3_600_000
    assert hours.over_at(end) == end


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"begin": "21:00"}, "end is empty"),
        ({"end": "08:00"}, "begin is empty"),
        ({"begin": "9pm", "end": "08:00"}, "begin is '9pm'"),
        ({"begin": "21:00", "end": "24:00"}, "end is '24:00'"),
        ({"begin": "08:00", "end": "08:00"}, "nothing would ever be raised"),
        ({"begin": "21:00", "end": "08:00", "time_zone": "Mars/Olympus"}, "time_zone is 'Mars/Olympus'"),
        ({"begin": "21:00", "end": "08:00", "time_zone": "../etc"}, "time_zone is '../etc'"),
    ],
)
def test_what_no_clock_shows_is_refused(given_: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said.split(":")[0]):
        QuietHours(**given_)

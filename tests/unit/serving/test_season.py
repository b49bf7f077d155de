import numpy as np
import pytest

from serving.history import Journey
from serving.season import DAYS, Season
from stream.contracts.times import DAY_MS

START = 14_610 * DAY_MS
"""2010-01-01."""


def sold(days: list[int]) -> list[Journey]:
    return [Journey(np.array([START + day * DAY_MS]), np.array([1.0]), [("a",)]) for day in days]


def busy_december(years: int = 1) -> Season:
    days = [day for year in range(years) for day in range(year * 365, year * 365 + 365)]
    return Season.learned(
        sold(days + [d for d in days if d % 365 >= 334 for _ in range(3)]), START + years * 365 * DAY_MS
    )


def test_a_busy_day_counts_as_several_and_a_year_as_a_year():
    season = busy_december()
    at = lambda day: season.elapsed(np.array([START + day * DAY_MS]))[0]  # noqa: E731
    assert at(360) - at(350) > 2 * (at(200) - at(190))
    assert at(365) - at(0) == pytest.approx(365, rel=1e-6)
    assert season.intensity[:365].mean() == pytest.approx(1)


def test_a_flat_season_is_the_calendar_across_leap_years():
    flat = Season.flat()
    moments = np.arange(START - 800 * DAY_MS, START + 1_600 * DAY_MS, 7 * DAY_MS + 1_234)
    assert np.allclose(flat.elapsed(moments), moments / DAY_MS)
    assert np.allclose(flat.level(moments), 1)


def test_time_never_runs_backwards_nor_jumps():
    season = busy_december()
    steps = np.diff(season.elapsed(np.arange(START, START + 1_500 * DAY_MS, DAY_MS // 4)))
    assert steps.min() > 0
    assert steps.max() < 5 / 4 + 1e-9


def test_what_comes_after_the_moment_changes_nothing():
    known = sold(list(range(200)))
    later = sold(list(range(200, 400)) * 5)
    until = START + 200 * DAY_MS - 1
    assert np.array_equal(Season.learned(known, until).intensity, Season.learned(known + later, until).intensity)


def test_days_never_seen_count_as_the_mean():
    season = Season.learned(sold(list(range(100))), START + 100 * DAY_MS - 1)
    assert season.intensity[200] == pytest.approx(1, abs=0.02)
    assert np.array_equal(Season.learned([], START).intensity, np.ones(DAYS))


def test_after_a_busy_month_a_fading_sum_is_higher():
    season = busy_december()
    january, july = season.level(np.array([START + 366 * DAY_MS, START + 200 * DAY_MS]))
    assert january[2] > 1.5 * july[2]
    assert january[0] == pytest.approx(january[0])


def test_a_season_of_another_length_is_refused():
    with pytest.raises(ValueError, match="366 days"):
        Season(np.ones(12))

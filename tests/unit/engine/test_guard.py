"""The guard pauses a partition when most of its newest input is bad, and not for a bad record now and then."""

from hypothesis import given
from hypothesis import strategies as st

from stream.engine.guard import Guard
from stream.engine.settings import EngineSettings

SETTINGS = EngineSettings(
    dead_letter_share=0.05, quarantine_share=0.001, dead_letter_window_ms=60_000, dead_letter_minimum=200
)


def test_it_trips_over_five_per_cent_and_says_why() -> None:
    guard = Guard(SETTINGS, 0.0)
    assert not guard.look(1.0, 1_000, 50, 0)
    assert guard.look(2.0, 2_000, 101, 0)
    assert guard.tripped == "101 of the last 2000 records became dead letters"
    assert not guard.look(3.0, 2_000, 101, 0), "it is told once"


def test_what_was_bad_before_the_first_look_counts() -> None:
    assert Guard(SETTINGS, 0.0).look(0.25, 300, 300, 0)


def test_a_few_records_mean_nothing() -> None:
    assert not Guard(SETTINGS, 0.0).look(1.0, 199, 199, 0)


def test_quarantined_customers_count_from_one_in_a_thousand() -> None:
    guard = Guard(SETTINGS, 0.0)
    assert not guard.look(1.0, 10_000, 10, 10)
    assert guard.look(2.0, 11_000, 12, 12)
    assert "state cannot be read" in guard.tripped


def test_what_lies_before_the_window_is_forgotten() -> None:
    guard = Guard(SETTINGS, 0.0)
    assert not guard.look(1.0, 10_000, 400, 0)
    # 600 in all would be 5.5 % of 11,000; within the window it is a fifth.
    assert guard.look(62.0, 11_000, 600, 0)


def test_after_a_reset_it_takes_new_bad_records_to_trip_it() -> None:
    guard = Guard(SETTINGS, 0.0)
    assert guard.look(1.0, 300, 300, 0)
    guard.reset()
    assert not guard.tripped
    assert not guard.look(2.0, 1_300, 349, 0), "49 of 1,000"
    assert guard.look(3.0, 1_600, 420, 0)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=40))
def test_it_never_trips_where_the_share_stays_at_its_bound(steps: list[tuple[int, int]]) -> None:
    guard, records, dead = Guard(SETTINGS, 0.0), 0, 0
    for second, (good, bad) in enumerate(steps):
        bad = min(bad, good // 20)
        records, dead = records + good + bad, dead + bad
        assert not guard.look(float(second), records, dead, 0)

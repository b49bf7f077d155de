"""Timers fire in order of due time and key, once, and as they stand now, not as they stood when they were set."""

from hypothesis import given
from hypothesis import strategies as st

from stream.engine.timers import Timers

KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
CHANGES = st.lists(st.tuples(KEYS, st.integers(0, 50)), max_size=200)


@given(CHANGES, st.integers(0, 60))
def test_what_is_due_comes_in_order_and_the_rest_stays(changes: list[tuple[bytes, int]], time: int) -> None:
    timers, dues = Timers(), {}
    for key, due in changes:
        timers.set(key, due)
        dues[key] = due
    wanted = sorted((due, key) for key, due in dues.items() if 0 < due <= time)
    fired = []
    while (timer := timers.pop(time)) is not None:
        fired.append(timer)
    assert fired == wanted
    left = {key: due for key, due in dues.items() if due > time}
    assert len(timers) == len(left)
    assert timers.next_due() == min(left.values(), default=0)
    assert {key: timers.due_of(key) for key in left} == left


@given(st.dictionaries(KEYS, st.integers(1, 50)), CHANGES)
def test_loaded_at_once_is_as_set_one_by_one(loaded: dict[bytes, int], changes: list[tuple[bytes, int]]) -> None:
    at_once, one_by_one = Timers(), Timers()
    at_once.load(loaded.items())
    for key, due in loaded.items():
        one_by_one.set(key, due)
    for timers in (at_once, one_by_one):
        for key, due in changes:
            timers.set(key, due)
    fired = [[timers.pop(50) for _ in range(6)] for timers in (at_once, one_by_one)]
    assert fired[0] == fired[1]


def test_a_timer_that_moves_for_ever_does_not_fill_the_memory() -> None:
    timers = Timers()
    timers.set(b"still", 10**9)
    for due in range(1, 20_000):
        timers.set(b"a", due)
    assert len(timers.heap) < 2_000
    assert timers.pop(10**8) == (19_999, b"a")
    assert timers.next_due() == 10**9


def test_one_set_again_for_the_same_time_after_it_fired_fires_again() -> None:
    timers = Timers()
    timers.set(b"a", 5)
    assert timers.pop(5) == (5, b"a")
    timers.set(b"a", 5)
    assert timers.pop(5) == (5, b"a")
    assert timers.pop(5) is None

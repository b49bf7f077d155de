"""A rate is taken between two commits, behind the warm-up, and not from what could not be seen."""

import os
from collections.abc import Callable, Iterator

import pytest

from benchmarks import watched
from benchmarks.watched import TooShort, watch

ME = os.getpid()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look takes a second, and each second takes half a second of CPU."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += 1.0

    monkeypatch.setattr(watched.time, "sleep", sleep)
    monkeypatch.setattr(watched.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(watched, "cpu_seconds", lambda pid: now[0] / 2)


def committed(offsets: list[int]) -> Callable[[], int]:
    left: Iterator[int] = iter(offsets)
    return lambda: next(left)


def test_a_rate_is_that_between_commits(clock: None) -> None:
    # Slow at first; then 10 a second, of which a commit shows every second one; and a slow end.
    offsets = [0, 0, 0, 0, 5, 20, 20, 40, 40, 60, 60, 80, 80, 96, 96, 96, 96, 96, 100]
    measured = watch(committed(offsets), [ME], ME, 100, lambda: None)
    assert measured.events_per_second == pytest.approx((96 - 20) / 8)
    assert measured.cpu_us_per_event == pytest.approx(4 / (96 - 20) * 1e6)
    assert measured.broker_us_per_event == measured.cpu_us_per_event


def test_too_few_commits_give_no_rate(clock: None) -> None:
    with pytest.raises(TooShort, match="more --events"):
        watch(committed([0, 0, 90, 100]), [ME], ME, 100, lambda: None)


def test_a_process_that_ends_ends_the_watch(clock: None) -> None:
    def alive() -> None:
        raise RuntimeError("ended")

    with pytest.raises(RuntimeError, match="ended"):
        watch(committed([0] * 100), [ME], ME, 100, alive)

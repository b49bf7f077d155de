"""When the next event is due."""

from hypothesis import given
from hypothesis import strategies as st

from stream.operations.pacing import Pacer


def test_without_a_limit_everything_is_due_at_once() -> None:
    pacer = Pacer()
    assert not pacer.limited
    assert [pacer.due(time) for time in (0, 10**9, 5)] == [0.0, 0.0, 0.0]


def test_a_rate_spaces_events_evenly() -> None:
    pacer = Pacer(rate=4)
    assert [pacer.due(None) for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]


def test_a_speed_up_divides_the_time_between_events() -> None:
    pacer = Pacer(speedup=3600)
    assert [pacer.due(time) for time in (7_200_000, 10_800_000, 14_400_000)] == [0.0, 1.0, 2.0]


def test_an_event_without_a_time_goes_with_the_one_before() -> None:
    pacer = Pacer(speedup=1)
    assert [pacer.due(time) for time in (0, 5_000, None, 6_000)] == [0.0, 5.0, 5.0, 6.0]


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 10**12)), max_size=50),
    st.one_of(st.none(), st.floats(0.1, 1e4)),
    st.one_of(st.none(), st.floats(0.1, 1e6)),
)
def test_due_times_never_go_back(times: list[int | None], rate: float | None, speedup: float | None) -> None:
    pacer = Pacer(rate, speedup)
    due = [pacer.due(time) for time in times]
    assert due == sorted(due)
    if rate is not None:
        assert all(moment >= place / rate - 1e-9 for place, moment in enumerate(due))

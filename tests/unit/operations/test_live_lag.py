"""When a replay has to give way to the live workers."""

from stream.operations.replays.live_lag import Lag


def test_lag_is_the_age_of_the_oldest_record_that_is_not_committed() -> None:
    lag = Lag()
    assert lag.look(0.0, {0: 100}, {0: 100}) == 0.0
    assert lag.look(1.0, {0: 110}, {0: 200}) == 0.0
    assert lag.look(2.0, {0: 150}, {0: 300}) == 1.0
    assert lag.look(3.0, {0: 210}, {0: 400}) == 1.0, "what was there at 1.0 is done"
    assert lag.look(4.0, {0: 400}, {0: 400}) == 0.0


def test_markers_at_the_end_of_an_idle_partition_are_no_lag() -> None:
    lag = Lag()
    for second in range(10):
        assert lag.look(second, {0: 98, 1: 50 + second}, {0: 100, 1: 50 + second}) == 0.0


def test_workers_that_do_not_get_on_are_not_waited_for() -> None:
    lag = Lag()
    lags = [lag.look(float(second), {0: 10}, {0: 100 + second}) for second in range(10)]
    assert max(lags) > 1.0
    assert lags[-1] == 0.0
    assert lag.look(10.0, {0: 20}, {0: 110}) > 1.0, "they are back, and far behind"


def test_one_partition_behind_is_behind() -> None:
    lag = Lag()
    lag.look(0.0, {0: 100, 1: 0}, {0: 100, 1: 100})
    assert lag.look(2.0, {0: 120, 1: 10}, {0: 120, 1: 120}) == 2.0

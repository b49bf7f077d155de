"""The breaker stops calls to a server that does not answer, and lets them go on once it is back."""

from hypothesis import given
from hypothesis import strategies as st

from stream.workers.breaker import CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make(failures: int = 3) -> tuple[CircuitBreaker, Clock]:
    clock = Clock()
    return CircuitBreaker(failures, 1.0, 5.0, clock), clock


def test_it_opens_after_so_many_failures_in_a_row_and_an_answer_begins_the_row_anew() -> None:
    breaker, _ = make()
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    breaker.failed()
    assert not breaker.open
    assert not breaker.healthy
    breaker.failed()
    assert breaker.open


def test_it_looks_after_a_pause_that_doubles_up_to_its_bound() -> None:
    breaker, clock = make(failures=1)
    breaker.failed()
    pauses = []
    for _ in range(5):
        began = clock.now
        while not breaker.may_look():
            clock.now += 0.5
        pauses.append(clock.now - began)
        breaker.absent()
    assert pauses == [1, 2, 4, 5, 5]


def test_on_probation_one_failure_opens_it_for_longer_and_an_answer_ends_it() -> None:
    breaker, clock = make()
    for _ in range(3):
        breaker.failed()
    clock.now += 1
    breaker.ready()
    assert not breaker.open
    breaker.failed()
    assert breaker.open
    clock.now += 1
    assert not breaker.may_look(), "twice as long"
    clock.now += 1
    assert breaker.may_look()
    breaker.ready()
    breaker.succeeded()
    assert breaker.healthy
    breaker.failed()
    breaker.failed()
    assert not breaker.open
    breaker.failed()
    clock.now += 1
    assert breaker.may_look(), "the pause is the first again"


def test_calls_that_end_while_it_is_open_do_not_lengthen_the_pause() -> None:
    breaker, clock = make()
    for _ in range(8):
        breaker.failed()
    clock.now += 1
    assert breaker.may_look()


@given(st.lists(st.sampled_from(["failed", "succeeded", "absent", "ready", "wait"]), max_size=60))
def test_it_never_stays_shut_to_looks_for_longer_than_its_bound(calls: list[str]) -> None:
    breaker, clock = make()
    for call in calls:
        if call == "wait":
            clock.now += 0.7
        else:
            getattr(breaker, call)()
    clock.now += 5
    assert not breaker.open or breaker.may_look()

"""Deliveries keep their order within a customer, whatever fails, and customers do not wait for each other."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stream.operations.subscriptions.lanes import Lanes
from stream.operations.subscriptions.offsets import Frontier
from stream.operations.subscriptions.outcomes import Delivery

CUSTOMERS = [b"ann", b"bob", b"eve"]


def delivery(offset: int, key: bytes = b"ann", partition: int = 0) -> Delivery:
    return Delivery(partition=partition, offset=offset, key=key, id=str(offset), body=b"1234")


class Sending(RuleBasedStateMachine):
    """Anything may happen to any delivery, at any time, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes, self.now, self.next = Lanes(), 0.0, 0
        self.frontier = Frontier(0)
        self.under_way: list[Delivery] = []
        self.undone: dict[bytes, list[Delivery]] = defaultdict(list)
        self.until: dict[bytes, float] = {}

    @rule(key=st.sampled_from(CUSTOMERS), skipped=st.booleans())
    def a_record_comes(self, key: bytes, skipped: bool) -> None:
        if skipped:
            self.frontier.reach(self.next + 1)
        else:
            came = delivery(self.next, key)
            self.frontier.begin(self.next)
            self.lanes.add(came, self.now)
            self.undone[key].append(came)
        self.next += 1

    @rule(limit=st.integers(0, 4), fresh_first=st.booleans())
    def some_are_sent(self, limit: int, fresh_first: bool) -> None:
        able = {
            key
            for key, waiting in self.undone.items()
            if waiting and waiting[0] not in self.under_way and self.until.get(key, 0.0) <= self.now
        }
        taken = self.lanes.take(self.now, limit, fresh_first=fresh_first)
        assert {each.key for each in taken} <= able
        assert len(taken) == min(limit, len(able)), "nobody who may go is kept"
        for each in taken:
            assert each is self.undone[each.key][0], "the oldest of its customer"
            each.tries += 1
        self.under_way += taken

    @precondition(lambda self: self.under_way)
    @rule(which=st.randoms(use_true_random=False), wait=st.none() | st.floats(0, 50))
    def an_attempt_ends(self, which: object, wait: float | None) -> None:
        ended = self.under_way.pop(which.randrange(len(self.under_way)))  # type: ignore[attr-defined]
        if wait is None:
            self.lanes.end(ended, self.now)
            self.undone[ended.key].remove(ended)
            self.until.pop(ended.key, None)
            self.frontier.finish(ended.offset)
        else:
            self.lanes.retry(ended, self.now + wait)
            self.until[ended.key] = self.now + wait

    @rule(by=st.floats(0, 30))
    def time_passes(self, by: float) -> None:
        self.now += by

    @rule()
    def the_endpoint_is_back(self) -> None:
        self.lanes.hasten(self.now)
        self.until.clear()

    @rule(key=st.sampled_from(CUSTOMERS), since=st.integers(0, 50))
    def a_customer_is_erased(self, key: bytes, since: int) -> None:
        head = next(iter(self.undone[key]), None)
        dropped = self.lanes.drop(lambda each: each.key == key and each.offset < since, self.now)
        assert not any(each in self.under_way for each in dropped)
        gone = [each for each in self.undone[key] if each.offset < since and each not in self.under_way]
        assert dropped == gone
        for each in gone:
            self.undone[key].remove(each)
            self.frontier.finish(each.offset)
        if head in gone:
            self.until.pop(key, None)

    @invariant()
    def what_is_held_is_what_is_undone(self) -> None:
        undone = [each for waiting in self.undone.values() for each in waiting]
        assert (self.lanes.held, self.lanes.held_bytes) == (len(undone), 4 * len(undone))
        assert self.lanes.under_way() == len(self.under_way)

    @invariant()
    def commits_reach_to_the_oldest_that_is_undone(self) -> None:
        undone = [each.offset for waiting in self.undone.values() for each in waiting]
        assert self.frontier.committable == min(undone, default=self.next)

    @invariant()
    def the_next_attempt_is_known(self) -> None:
        due = self.lanes.next_due()
        waiting = [key for key, undone in self.undone.items() if undone and undone[0] not in self.under_way]
        assert (due is None) == (not waiting)
        if due is not None and due > self.now:
            assert due == min(self.until[key] for key in waiting)


TestSending = Sending.TestCase


def test_a_customer_who_waits_holds_up_nobody_else() -> None:
    lanes = Lanes()
    for offset, key in enumerate([b"ann", b"ann", b"bob"]):
        lanes.add(delivery(offset, key), 0.0)
    first, other = lanes.take(0.0, 10)
    lanes.retry(first, 60.0)
    lanes.end(other, 0.0)
    lanes.add(delivery(3, b"bob"), 1.0)
    assert [each.offset for each in lanes.take(1.0, 10)] == [3]
    assert lanes.next_due() == 60.0
    assert [each.offset for each in lanes.take(60.0, 10)] == [0]


def test_what_was_never_tried_probes_first() -> None:
    lanes = Lanes()
    tried, fresh = delivery(0), delivery(1, b"bob")
    tried.tries = 7
    lanes.add(tried, 0.0)
    lanes.add(fresh, 5.0)
    assert lanes.take(5.0, 1, fresh_first=True) == [fresh]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(CUSTOMERS)), max_size=30), st.integers(0, 5))
def test_what_belongs_to_another_is_forgotten_with_what_is_under_way(
    places: list[tuple[int, bytes]], limit: int
) -> None:
    lanes = Lanes()
    for offset, (partition, key) in enumerate(places):
        lanes.add(delivery(offset, key, partition), 0.0)
    taken = lanes.take(0.0, limit)
    lanes.forget({1})
    assert lanes.held == sum(partition != 1 for partition, _ in places)
    assert [lanes.holds(each) for each in taken] == [each.partition != 1 for each in taken]
    assert {each.partition for each in lanes.take(0.0, 100)} <= {0, 2}

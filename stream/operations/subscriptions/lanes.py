"""Deliveries in lanes, one a customer: in order within a lane, at most one under way in it, lanes beside each other.

Pure: it holds what waits and until when, and neither sends nor reads a clock. A lane that waits for its next attempt
holds up nobody but its own customer. Called by ``subscription.py``.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection
from itertools import count

from stream.operations.subscriptions.outcomes import Delivery

_LaneKey = tuple[int, bytes]


class _Lane:
    __slots__ = ("queue", "ticket")

    def __init__(self) -> None:
        self.queue: deque[Delivery] = deque()
        self.ticket = -1
        """Of the entry in the heap by which the head waits; -1 while it is under way."""


class Lanes:
    """Times are seconds of one clock, which only grows."""

    def __init__(self) -> None:
        self._lanes: dict[_LaneKey, _Lane] = {}
        self._waiting: list[tuple[float, int, _LaneKey]] = []
        """Heap of (due, ticket, lane); an entry whose ticket is not its lane's is void."""
        self._tickets = count()
        self._under_way: dict[Delivery, None] = {}
        self.held = 0
        """Deliveries that are not done."""
        self.held_bytes = 0
        """Of their bodies."""

    def add(self, delivery: Delivery, now: float) -> None:
        """The customer's newest delivery; it starts when those before it are done."""
        key = (delivery.partition, delivery.key)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
            self._wait(key, lane, now)
        lane.queue.append(delivery)
        self.held += 1
        self.held_bytes += len(delivery.body)

    def take(self, now: float, limit: int, *, fresh_first: bool = False) -> list[Delivery]:
        """Up to ``limit`` deliveries that are due, longest due first. Each is under way until ``end`` or ``retry``.

        Args:
            fresh_first: fewest attempts first instead; for an endpoint that has to be probed by something that may
                well be taken.
        """
        if fresh_first:
            due = sorted(
                (self._lanes[key].queue[0].tries, at, ticket, key)
                for at, ticket, key in self._waiting
                if at <= now and self._holds(ticket, key)
            )
            return [self._start(key) for *_, key in due[: max(limit, 0)]]
        taken: list[Delivery] = []
        while len(taken) < limit and self._waiting and self._waiting[0][0] <= now:
            _, ticket, key = heapq.heappop(self._waiting)
            if self._holds(ticket, key):
                taken.append(self._start(key))
        return taken

    def end(self, delivery: Delivery, now: float) -> None:
        """It is done, or given up: the customer's next one may start."""
        self._under_way.pop(delivery)
        key = (delivery.partition, delivery.key)
        lane = self._lanes[key]
        lane.queue.popleft()
        self.held -= 1
        self.held_bytes -= len(delivery.body)
        if lane.queue:
            self._wait(key, lane, now)
        else:
            del self._lanes[key]

    def retry(self, delivery: Delivery, due: float) -> None:
        """It is tried again at ``due``; what follows it in its lane waits with it."""
        self._under_way.pop(delivery)
        key = (delivery.partition, delivery.key)
        self._wait(key, self._lanes[key], due)

    def hasten(self, now: float) -> None:
        """Everything that waits for a later attempt is due."""
        waiting = [(ticket, key) for _, ticket, key in self._waiting if self._holds(ticket, key)]
        self._waiting = [(now, ticket, key) for ticket, key in sorted(waiting)]

    def drop(self, void: Callable[[Delivery], bool], now: float) -> list[Delivery]:
        """Take out what is void and not under way, and return it."""
        dropped: list[Delivery] = []
        for key, lane in list(self._lanes.items()):
            out = [each for each in lane.queue if each not in self._under_way and void(each)]
            if not out:
                continue
            head = lane.queue[0]
            lane.queue = deque(each for each in lane.queue if each not in out)
            dropped += out
            if not lane.queue:
                del self._lanes[key]
            elif lane.queue[0] is not head:
                self._wait(key, lane, now)
        self.held -= len(dropped)
        self.held_bytes -= sum(len(each.body) for each in dropped)
        return dropped

    def forget(self, partitions: Collection[int]) -> None:
        """Drop what came from these partitions: somebody else delivers it."""
        for key in [key for key in self._lanes if key[0] in partitions]:
            lane = self._lanes.pop(key)
            self.held -= len(lane.queue)
            self.held_bytes -= sum(len(delivery.body) for delivery in lane.queue)
        for delivery in [each for each in self._under_way if each.partition in partitions]:
            del self._under_way[delivery]

    def holds(self, delivery: Delivery) -> bool:
        """Whether it is under way; not so where its partition was forgotten meanwhile."""
        return delivery in self._under_way

    def behind(self, delivery: Delivery) -> int:
        """How many wait behind it in its lane."""
        return len(self._lanes[delivery.partition, delivery.key].queue) - 1

    def under_way(self, partitions: Collection[int] | None = None) -> int:
        """Deliveries that were taken and came to no end yet, of all partitions or of some."""
        if partitions is None:
            return len(self._under_way)
        return sum(delivery.partition in partitions for delivery in self._under_way)

    def next_due(self) -> float | None:
        """When the next attempt may start; None where nothing waits."""
        while self._waiting and not self._holds(*self._waiting[0][1:]):
            heapq.heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else None

    def _holds(self, ticket: int, key: _LaneKey) -> bool:
        lane = self._lanes.get(key)
        return lane is not None and lane.ticket == ticket

    def _wait(self, key: _LaneKey, lane: _Lane, due: float) -> None:
        lane.ticket = next(self._tickets)
        heapq.heappush(self._waiting, (due, lane.ticket, key))

    def _start(self, key: _LaneKey) -> Delivery:
        lane = self._lanes[key]
        lane.ticket = -1
        delivery = lane.queue[0]
        self._under_way[delivery] = None
        return delivery

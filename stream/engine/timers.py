"""The timers of one partition: one due time a key, in a heap with lazy deletion.

The dictionary is the truth and the heap is its index: an entry of the heap counts only while the dictionary still
holds the same due time for its key. Only timers before the horizon are known here; those behind it are found in the
store when time comes near. Keys that wait for a signal are kept beside it. Called by ``stream.engine.states`` and
``stream.engine.partition``.
"""

import heapq
from collections.abc import Iterable
from typing import Final

FOREVER: Final = 1 << 61
"""The horizon where all timers are known."""

_REBUILD_FACTOR = 4
"""Stale entries are dropped when the heap is this many times larger than the keys that have a timer."""


class Timers:
    """Due times by key, in epoch milliseconds.

    >>> timers = Timers()
    >>> timers.set(b"a", 20); timers.set(b"b", 10); timers.set(b"b", 30)
    >>> timers.next_due()
    20
    >>> timers.pop(25)
    (20, b'a')
    >>> timers.pop(25) is None
    True
    """

    __slots__ = ("_due", "_far", "heap", "horizon", "waiting")

    def __init__(self) -> None:
        self.horizon = FOREVER
        self.waiting: set[bytes] = set()
        self._due: dict[bytes, int] = {}
        self._far: dict[bytes, int] = {}
        self.heap: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        """How many timers are known."""
        return len(self._due) + len(self._far)

    def load(self, dues: Iterable[tuple[bytes, int]]) -> None:
        """Replace everything before the horizon at once, which is cheaper than to push one by one."""
        self._due = dict(dues)
        self.heap = [(due, key) for key, due in self._due.items()]
        heapq.heapify(self.heap)

    def due_of(self, key: bytes) -> int:
        """Due time of ``key``; 0 when it has none, or one behind the horizon that the store knows."""
        return self._due.get(key, 0) or self._far.get(key, 0)

    def set(self, key: bytes, due: int) -> None:
        """Set, move or (``due`` 0) clear the timer of ``key``."""
        if due >= self.horizon:
            self._due.pop(key, None)
            self._far[key] = due
            return
        if self._far:
            self._far.pop(key, None)
        if due == self._due.get(key, 0):
            return
        if due == 0:
            del self._due[key]
            return
        self._due[key] = due
        heapq.heappush(self.heap, (due, key))
        if len(self.heap) > _REBUILD_FACTOR * len(self._due) + 1_024:
            self.load(self._due.items())

    def next_due(self) -> int:
        """The earliest due time; 0 when there is none."""
        heap, due_of = self.heap, self._due
        while heap:
            due, key = heap[0]
            if due_of.get(key) == due:
                return due
            heapq.heappop(heap)
        return 0

    def none_due(self, time: int) -> bool:
        """Whether nothing can be due at ``time``, at the price of one look: False may be a false alarm."""
        heap = self.heap
        return time < self.horizon and (not heap or heap[0][0] > time)

    def pop(self, time: int) -> tuple[int, bytes] | None:
        """Take out the earliest timer that is due at ``time``; equal due times in order of key."""
        due = self.next_due()
        if due == 0 or due > time:
            return None
        _, key = heapq.heappop(self.heap)
        del self._due[key]
        return due, key

    # -- the horizon -------------------------------------------------

    def extend(self, horizon: int, dues: Iterable[tuple[bytes, int]]) -> None:
        """Know the timers up to a later horizon: ``dues`` are those that the store had between."""
        far, self._far, self.horizon = self._far, {}, horizon
        for key, due in dues:
            self.set(key, due)
        for key, due in far.items():
            self.set(key, due)

    def settle(self, near: int | None) -> None:
        """The store knows everything now: forget what lies behind the horizon, which comes nearer when many more than
        ``near`` timers lie before it."""
        self._far.clear()
        if near is None or len(self._due) <= 2 * near:
            return
        dues = sorted(self._due.values())
        if dues[near] > dues[0]:
            self.horizon = dues[near]
            self.load([(key, due) for key, due in self._due.items() if due < self.horizon])

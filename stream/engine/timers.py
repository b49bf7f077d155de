"""The timers of one partition: one due time a key, in a heap with lazy deletion.

The dictionary is the truth and the heap is its index: an entry of the heap counts only while the dictionary still
holds the same due time for its key. Keys that wait for a signal are kept beside it. Called by
``stream.engine.states`` and ``stream.engine.partition``.
"""

import heapq
from collections.abc import Iterable

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

    __slots__ = ("_due", "_heap", "waiting")

    def __init__(self) -> None:
        self._due: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []
        self.waiting: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._due)

    def load(self, dues: Iterable[tuple[bytes, int]]) -> None:
        """Replace everything at once, which is cheaper than to push one by one."""
        self._due = dict(dues)
        self._heap = [(due, key) for key, due in self._due.items()]
        heapq.heapify(self._heap)

    def due_of(self, key: bytes) -> int:
        """Due time of ``key``; 0 when it has none."""
        return self._due.get(key, 0)

    def set(self, key: bytes, due: int) -> None:
        """Set, move or (``due`` 0) clear the timer of ``key``."""
        if due == self._due.get(key, 0):
            return
        if due == 0:
            del self._due[key]
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))
        if len(self._heap) > _REBUILD_FACTOR * len(self._due) + 1_024:
            self.load(self._due.items())

    def next_due(self) -> int:
        """The earliest due time; 0 when there is none."""
        heap, due_of = self._heap, self._due
        while heap:
            due, key = heap[0]
            if due_of.get(key) == due:
                return due
            heapq.heappop(heap)
        return 0

    def none_due(self, time: int) -> bool:
        """Whether nothing can be due at ``time``, at the price of one look: False may be a false alarm."""
        heap = self._heap
        return not heap or heap[0][0] > time

    def pop(self, time: int) -> tuple[int, bytes] | None:
        """Take out the earliest timer that is due at ``time``; equal due times in order of key."""
        due = self.next_due()
        if due == 0 or due > time:
            return None
        _, key = heapq.heappop(self._heap)
        del self._due[key]
        return due, key

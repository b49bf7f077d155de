"""Up to where a partition is done, although later records of it are done before earlier ones.

Pure. What is remembered is what is unfinished, so a delivery that fails for hours costs no more than itself, however
much goes past it. Called by ``subscription.py``.
"""

from __future__ import annotations

from collections import OrderedDict


class Frontier:
    """Of one partition.

    Args:
        position: offset of the first record that is not done.

    >>> frontier = Frontier(4)
    >>> frontier.begin(4), frontier.begin(6), frontier.reach(9)
    (None, None, None)
    >>> frontier.finish(6); frontier.committable
    4
    >>> frontier.finish(4); frontier.committable
    9
    """

    def __init__(self, position: int) -> None:
        self.position = position
        """Offset of the first record that was not read."""
        # A plain dict would go over all that was taken from its front at every look.
        self._unfinished: OrderedDict[int, None] = OrderedDict()

    def begin(self, offset: int) -> None:
        """A record is to be delivered. Offsets grow."""
        self._unfinished[offset] = None
        self.position = offset + 1

    def reach(self, position: int) -> None:
        """Everything before ``position`` was read; what was not begun needs no delivery."""
        self.position = max(self.position, position)

    def finish(self, offset: int) -> None:
        """A record that was begun is done with."""
        del self._unfinished[offset]

    @property
    def committable(self) -> int:
        """Every record before this offset is done with: the lowest unfinished one, or what is read next."""
        return next(iter(self._unfinished), self.position)

    @property
    def unfinished(self) -> int:
        """Records that were begun and not finished."""
        return len(self._unfinished)

"""Finds the step whose outputs the broker refuses, so that it alone becomes a dead letter.

A refused transaction does not say which of its thousands of records is to blame. It is halved until a single step is
left, and one partition is searched at a time, so that nobody is blamed for another's record. Called by
``stream.engine.commits``.
"""

from typing import Final

_REFUSALS: Final = 2
"""A step is blamed when its own transaction was refused this often in a row: a record that was damaged on its way to
the broker is refused too, and only once."""


class CulpritSearch:
    """The search within one partition.

    Attributes:
        steps: at most so many are to be committed at once, and nothing else with them; 0 while nothing is searched.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._until = 0
        self._refusals = 0

    def refused(self, steps: int, next_offset: int, alone: bool) -> bool:
        """The broker refused a transaction. True when its only step is to blame.

        Args:
            steps: of this partition in the transaction, at least 1.
            next_offset: of the input, as the transaction would have committed it.
            alone: no other partition had steps in it.
        """
        self._refusals = self._refusals + 1 if alone and steps == 1 else 0
        self.steps = max(1, steps // 2)
        self._until = max(self._until, next_offset)
        return self._refusals >= _REFUSALS

    def passed(self, committed_offset: int) -> None:
        """A transaction went through: look at more at once, or stop when the culprit lies behind."""
        self._refusals = 0
        self.steps = 0 if committed_offset >= self._until else 2 * self.steps

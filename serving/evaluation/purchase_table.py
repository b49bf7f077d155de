"""When all customers of a shop bought, as one table: who was active at an instant, who stayed away after it, who came
when.

It knows no alert and no rule; those ask it. Called by ``serving.evaluation.alerts``, ``episodes`` and
``silence_rule``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from stream.contracts.times import DAY_MS

_NEVER: Final = np.iinfo(np.int64).max


def visits(times: Sequence[int]) -> list[int]:
    """The first purchase of each day. A day with several orders is one visit: else gaps of minutes would pull the mean
    to nothing."""
    return [time for place, time in enumerate(times) if place == 0 or time // DAY_MS != times[place - 1] // DAY_MS]


class PurchaseTable:
    """Purchases of C customers.

    Args:
        purchases: epoch milliseconds by customer, ascending.
    """

    def __init__(self, purchases: Mapping[str, Sequence[int]]) -> None:
        self.customers = sorted(purchases)
        self.histories = [purchases[customer] for customer in self.customers]
        self._rows = {customer: row for row, customer in enumerate(self.customers)}
        width = max((len(times) for times in self.histories), default=0)
        self._times = np.full((len(self.histories), max(width, 1)), _NEVER, np.int64)
        for row, times in enumerate(self.histories):
            self._times[row, : len(times)] = times
        second = [(days[1], days[1] - days[0]) for days in map(visits, self.histories) if len(days) > 1]
        self._returned = np.array(sorted(second), np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.customers)

    def row(self, customer_id: str) -> int | None:
        """Place of the customer in ``customers``; None: never bought."""
        return self._rows.get(customer_id)

    def active(self, at: int, active_ms: int) -> npt.NDArray[np.bool_]:
        """bool[C]: bought within ``active_ms`` up to and including ``at``."""
        return np.asarray(((self._times <= at) & (self._times > at - active_ms)).any(axis=1))

    def silent(self, at: int, horizon_ms: int) -> npt.NDArray[np.bool_]:
        """bool[C]: no purchase after ``at`` and within the horizon."""
        return np.asarray(~((self._times > at) & (self._times <= at + horizon_ms)).any(axis=1))

    def following(self, row: int, at: int) -> int | None:
        """The customer's next purchase after ``at``; None: none is known."""
        return next((time for time in self.histories[row] if time > at), None)

    def expected(self, row: int, at: int) -> float | None:
        """When the next purchase was to be expected with what was known at ``at``: one own mean gap after the last.

        Who had come on one day only has no gap of their own; for them the shop's counts, the median wait of all
        customers who had come a second time by then. None where nobody had.
        """
        known = visits([time for time in self.histories[row] if time <= at])
        if len(known) > 1:
            return known[-1] + (known[-1] - known[0]) / (len(known) - 1)
        waits = self._returned[self._returned[:, 0] <= at, 1]
        return known[-1] + float(np.median(waits)) if known and len(waits) else None

"""The rule that alerts have to beat: whoever is silent for k times the own mean gap is about to leave.

It is given the k at which it fires as often as the alerts did, which is more than anyone who ran it could know. Called
by ``serving.evaluation.alerts``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serving.evaluation.purchase_table import PurchaseTable, visits


class RuleFired(NamedTuple):
    """What the rule did within a window; rows are those of the table, lists have an entry each time that it fired."""

    factor: float
    """The k; NaN where it never fires."""
    rows: list[int]
    right: list[bool]


class _Silences(NamedTuple):
    """N pauses after a purchase in which the rule may fire: when ``factor`` mean gaps have passed, if it comes to
    that."""

    customer: npt.NDArray[np.intp]
    since: npt.NDArray[np.int64]
    mean_gap: npt.NDArray[np.float64]
    largest_factor: npt.NDArray[np.float64]

    def fired_at(self, factor: float) -> npt.NDArray[np.int64]:
        """int64[N]: when the rule would fire."""
        return np.asarray(self.since + factor * self.mean_gap, np.int64)


def silence_rule(
    table: PurchaseTable, window: tuple[int, int], wanted: int, horizon_ms: int, active_ms: int, end: int
) -> RuleFired:
    """Fire at the largest factor, to two digits, at which the rule fires ``wanted`` times within ``window``.

    Where it never fires so often, the factor at which it fires most. All times are epoch milliseconds or their
    differences.
    """
    silences = _silences(table, end, active_ms)
    best_factor, best = float("nan"), np.empty(0, np.intp)
    for factor in np.unique(np.floor(silences.largest_factor * 100) / 100)[::-1]:
        at = silences.fired_at(factor)
        fires = np.flatnonzero((factor <= silences.largest_factor) & (at >= window[0]) & (at <= window[1]))
        if len(fires) > len(best):
            best_factor, best = float(factor), fires
        if len(best) >= wanted:
            break
    # More at the last step than wanted are cut in the order of time, so that both are counted over as many alerts.
    at = silences.fired_at(best_factor) if len(best) else silences.since
    chosen = sorted(best.tolist(), key=lambda pause: (int(at[pause]), int(silences.customer[pause])))[:wanted]
    rows = [int(silences.customer[pause]) for pause in chosen]
    return RuleFired(
        best_factor, rows, [bool(table.silent(int(at[p]), horizon_ms)[r]) for p, r in zip(chosen, rows, strict=True)]
    )


def _silences(table: PurchaseTable, end: int, active_ms: int) -> _Silences:
    found: list[tuple[int, int, float, float]] = []
    for customer, times in enumerate(table.histories):
        days = visits(times)
        for number in range(1, len(days)):
            mean_gap = (days[number] - days[0]) / number
            following = days[number + 1] if number + 1 < len(days) else end
            longest = min(following - days[number], active_ms)
            found.append((customer, days[number], mean_gap, longest / mean_gap))
    columns = list(zip(*found, strict=True)) or [(), (), (), ()]
    return _Silences(
        np.array(columns[0], np.intp),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.float64),
        np.array(columns[3], np.float64),
    )

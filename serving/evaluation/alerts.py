"""What churn alerts were worth, against the base rate and against the rule "silent for k times the own mean gap".

Churn over everybody is mostly telling gone customers from active ones, and nobody can save the former. So alerts are
judged among customers who were active when they fired, one row per episode. The demo and ``tidemark evaluate`` call
this; it reads no topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from serving.evaluation.bootstrap import DRAWS, Draws, Interval, Metric, interval
from stream.contracts.times import DAY_MS

ACTIVE_DAYS: Final = 90
"""A customer is active for so long after a purchase: of those seen within 90 days six in ten return within the next
90."""


class FiredAlert(NamedTuple):
    """The raising of one episode."""

    customer_id: str
    as_of: int
    """Epoch milliseconds."""
    score: float


class AlertWorth(msgspec.Struct, frozen=True):
    """Precision of alerts beside what it has to beat. Shares are NaN where nothing could be counted."""

    horizon_days: int
    fired: int
    """Alerts given."""
    counted: int
    """Of them those whose customer was active and whose horizon ends within the history."""
    precision: float
    """Share of the counted without a purchase within the horizon."""
    base_rate: float
    """The same share over all customers active at the same instants."""
    rule_factor: float
    """The k at which the rule fires as often as the alerts did."""
    rule_fired: int
    rule_precision: float
    difference: Interval = Interval(float("nan"), float("nan"))
    """Precision less the rule's, 95 %, paired by customer."""
    recall: float = float("nan")
    """Share of the customers lost within the time looked at who got a right alert after their last purchase."""
    per_1000_a_week: float = float("nan")
    """Counted alerts per 1,000 active customers and week."""

    @property
    def lift(self) -> float:
        """Precision over base rate."""
        return self.precision / self.base_rate


class _History(NamedTuple):
    """Purchases of all customers, one row each, padded with ``_NEVER``."""

    times: npt.NDArray[np.int64]

    def active(self, at: int, active_ms: int) -> npt.NDArray[np.bool_]:
        """bool[customers]: bought within ``active_ms`` up to and including ``at``."""
        return np.asarray(((self.times <= at) & (self.times > at - active_ms)).any(axis=1))

    def silent(self, at: int, horizon_ms: int) -> npt.NDArray[np.bool_]:
        """bool[customers]: no purchase after ``at`` and within the horizon."""
        return np.asarray(~((self.times > at) & (self.times <= at + horizon_ms)).any(axis=1))


_NEVER: Final = np.iinfo(np.int64).max


def _history(purchases: Sequence[Sequence[int]]) -> _History:
    width = max((len(times) for times in purchases), default=0)
    table = np.full((len(purchases), max(width, 1)), _NEVER, np.int64)
    for row, times in enumerate(purchases):
        table[row, : len(times)] = times
    return _History(table)


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


def _silences(purchases: Sequence[Sequence[int]], end: int, active_ms: int) -> _Silences:
    rows: list[tuple[int, int, float, float]] = []
    for customer, times in enumerate(purchases):
        # A day with several orders is one visit: else gaps of minutes would pull the mean to nothing.
        visits = [t for i, t in enumerate(times) if i == 0 or t // DAY_MS != times[i - 1] // DAY_MS]
        for number in range(1, len(visits)):
            mean_gap = (visits[number] - visits[0]) / number
            following = visits[number + 1] if number + 1 < len(visits) else end
            longest = min(following - visits[number], active_ms)
            rows.append((customer, visits[number], mean_gap, longest / mean_gap))
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return _Silences(
        np.array(columns[0], np.intp),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.float64),
        np.array(columns[3], np.float64),
    )


def alert_worth(
    alerts: Iterable[FiredAlert],
    purchases: Mapping[str, Sequence[int]],
    horizon_days: int,
    end: int,
    active_days: int = ACTIVE_DAYS,
) -> AlertWorth:
    """Judge ``alerts`` by what customers did next.

    Args:
        alerts: one per episode.
        purchases: epoch milliseconds of each customer's purchases, ascending, for all customers that could have been
            alerted.
        horizon_days: an alert is right when no purchase follows within so many days.
        end: epoch milliseconds up to which ``purchases`` is complete; alerts whose horizon ends later are not counted.
        active_days: days after a purchase in which a customer is active.
    """
    horizon_ms, active_ms = horizon_days * DAY_MS, active_days * DAY_MS
    customers = sorted(purchases)
    row_of = {customer: row for row, customer in enumerate(customers)}
    histories = [purchases[customer] for customer in customers]
    history = _history(histories)

    fired = list(alerts)
    alerted: list[int] = []
    right: list[bool] = []
    base: list[float] = []
    instants: list[int] = []
    for alert in fired:
        row = row_of.get(alert.customer_id)
        if row is None or alert.as_of + horizon_ms > end:
            continue
        active = history.active(alert.as_of, active_ms)
        if not active[row]:
            continue
        silent = history.silent(alert.as_of, horizon_ms)
        alerted.append(row)
        right.append(bool(silent[row]))
        base.append(float(silent[active].mean()))
        instants.append(alert.as_of)

    rule_factor, rule_customers, rule_right = float("nan"), list[int](), list[bool]()
    recall = per_week = float("nan")
    difference = Interval(float("nan"), float("nan"))
    if instants:
        window = (min(instants), end - horizon_ms)
        silences = _silences(histories, end, active_ms)
        rule_factor, rule_customers, rule_right = _rule(silences, history, horizon_ms, window, len(right))
        difference = _difference(len(customers), (alerted, right), (rule_customers, rule_right))
        recall = _recall(histories, [(r, at) for r, at, ok in zip(alerted, instants, right, strict=True) if ok], window)
        weeks = range(window[0], max(window[1], window[0] + 1), 7 * DAY_MS)
        actives = float(np.mean([history.active(at, active_ms).sum() for at in weeks]))
        per_week = 1000.0 * len(right) / max(actives, 1.0) / max(len(weeks), 1)
    return AlertWorth(
        horizon_days=horizon_days,
        fired=len(fired),
        counted=len(right),
        precision=_mean(right),
        base_rate=_mean(base),
        rule_factor=rule_factor,
        rule_fired=len(rule_right),
        rule_precision=_mean(rule_right),
        difference=difference,
        recall=recall,
        per_1000_a_week=per_week,
    )


def _difference(
    customers: int, alerts: tuple[Sequence[int], Sequence[bool]], rule: tuple[Sequence[int], Sequence[bool]]
) -> Interval:
    counts = [np.bincount(np.array(rows, np.intp), minlength=customers) for rows, _ in (alerts, rule)]
    rights = [
        np.bincount(np.array(rows, np.intp), np.array(right, np.float64), customers) for rows, right in (alerts, rule)
    ]

    def precision(side: int) -> Metric:
        return lambda rows: float(rights[side][rows].sum() / max(counts[side][rows].sum(), 1))

    draws = Draws(customers, DRAWS)
    return interval(draws.values(precision(0)) - draws.values(precision(1)))


def _recall(purchases: Sequence[Sequence[int]], right: Sequence[tuple[int, int]], window: tuple[int, int]) -> float:
    """Share of the last purchases within ``window`` that nothing followed until its end plus the horizon, and that a
    right alert followed."""
    lost = {row: times[-1] for row, times in enumerate(purchases) if times and window[0] <= times[-1] <= window[1]}
    found = {row for row, at in right if row in lost and at >= lost[row]}
    return len(found) / len(lost) if lost else float("nan")


def _rule(
    silences: _Silences, history: _History, horizon_ms: int, window: tuple[int, int], wanted: int
) -> tuple[float, list[int], list[bool]]:
    """The largest factor, to two digits, at which the rule fires ``wanted`` times within ``window``, for which
    customers, and which were right.

    Where it never fires so often, the factor at which it fires most.
    """
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
    right = [bool(history.silent(int(at[p]), horizon_ms)[silences.customer[p]]) for p in chosen]
    return best_factor, [int(silences.customer[p]) for p in chosen], right


def _mean(values: Sequence[float | bool]) -> float:
    return float(np.mean(values)) if values else float("nan")

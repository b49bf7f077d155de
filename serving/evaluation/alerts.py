"""What churn alerts were worth, against the base rate and against the rule "silent for k times the own mean gap".

Churn over everybody is mostly telling gone customers from active ones, and nobody can save the former. So alerts are judged among
customers who were active when they fired, one row per episode. The demo and ``tidemark evaluate`` call this; it reads no topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from stream.contracts.times import DAY_MS

ACTIVE_DAYS: Final = 90
"""A customer is active for so long after a purchase: of those seen within 90 days six in ten return within the next 90."""


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
        return ~((self.times > at) & (self.times <= at + horizon_ms)).any(axis=1)


_NEVER: Final = np.iinfo(np.int64).max


def _history(purchases: Sequence[Sequence[int]]) -> _History:
    width = max((len(times) for times in purchases), default=0)
    table = np.full((len(purchases), max(width, 1)), _NEVER, np.int64)
    for row, times in enumerate(purchases):
        table[row, : len(times)] = times
    return _History(table)


class _Silence(NamedTuple):
    """A pause after a purchase in which the rule may fire: it does when ``factor * mean_gap`` has passed."""

    customer: int
    since: int
    mean_gap: float
    largest_factor: float


def _silences(purchases: Sequence[Sequence[int]], end: int, active_ms: int) -> Iterable[_Silence]:
    for customer, times in enumerate(purchases):
        # A day with several orders is one visit: else gaps of minutes would pull the mean to nothing.
        visits = [t for i, t in enumerate(times) if i == 0 or t // DAY_MS != times[i - 1] // DAY_MS]
        for number in range(1, len(visits)):
            mean_gap = (visits[number] - visits[0]) / number
            following = visits[number + 1] if number + 1 < len(visits) else end
            yield _Silence(customer, visits[number], mean_gap, min(following - visits[number], active_ms) / mean_gap)


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
        purchases: epoch milliseconds of each customer's purchases, ascending, for all customers that could have been alerted.
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
        right.append(bool(silent[row]))
        base.append(float(silent[active].mean()))
        instants.append(alert.as_of)

    rule_factor, rule_right = float("nan"), []
    if instants:
        window = (min(instants), max(instants))
        rule_factor, rule_right = _rule(_silences(histories, end, active_ms), history, horizon_ms, window, len(right))
    return AlertWorth(
        horizon_days=horizon_days,
        fired=len(fired),
        counted=len(right),
        precision=_mean(right),
        base_rate=_mean(base),
        rule_factor=rule_factor,
        rule_fired=len(rule_right),
        rule_precision=_mean(rule_right),
    )


def _rule(
    silences: Iterable[_Silence], history: _History, horizon_ms: int, window: tuple[int, int], wanted: int
) -> tuple[float, list[bool]]:
    """The largest factor at which the rule fires ``wanted`` times within ``window``, and which of its alerts were right."""
    pauses = list(silences)
    best: tuple[float, list[tuple[int, int]]] = (float("nan"), [])
    low, high = 0.0, max((pause.largest_factor for pause in pauses), default=0.0)
    for _ in range(60):
        factor = (low + high) / 2
        at = [
            (pause.customer, int(pause.since + factor * pause.mean_gap))
            for pause in pauses
            if factor <= pause.largest_factor and window[0] <= pause.since + factor * pause.mean_gap <= window[1]
        ]
        if len(at) >= wanted:
            best, low = (factor, at), factor
        else:
            high = factor
    factor, at = best
    # Ties at the edge are cut in the order of time, so that the rule fires exactly as often as the alerts did.
    chosen = sorted(at, key=lambda each: (each[1], each[0]))[:wanted]
    return factor, [bool(history.silent(instant, horizon_ms)[customer]) for customer, instant in chosen]


def _mean(values: Sequence[float | bool]) -> float:
    return float(np.mean(values)) if values else float("nan")

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

from serving.evaluation.bootstrap import DRAWS, UNKNOWN, Draws, Interval, interval
from serving.evaluation.episodes import Episode, FiredAlert, episodes_of
from serving.evaluation.purchase_table import PurchaseTable
from serving.evaluation.silence_rule import RuleFired, silence_rule
from stream.contracts.times import DAY_MS

ACTIVE_DAYS: Final = 90
"""A customer is active for so long after a purchase: of those seen within 90 days six in ten return within the next
90."""

_TOGETHER: Final = 64
"""Alerts whose instants are looked at at once: memory is this times the number of customers."""


class Quartiles(NamedTuple):
    """Of days; NaN where there are none."""

    low: float
    median: float
    high: float


class AlertWorth(msgspec.Struct, frozen=True):
    """Precision of alerts beside what it has to beat. Shares are NaN where nothing could be counted.

    Intervals are 95 %, by a bootstrap that draws customers: alerts of one customer are not independent.
    """

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
    difference: Interval = UNKNOWN
    """Precision less the rule's, paired by customer."""
    recall: float = float("nan")
    """Share of the customers lost within the time looked at who got a right alert after their last purchase."""
    per_1000_a_week: float = float("nan")
    """Counted alerts per 1,000 active customers and week."""
    precision_interval: Interval = UNKNOWN
    lift_interval: Interval = UNKNOWN
    """Of precision over base rate, both over the same drawn customers."""
    lead_days: Quartiles = Quartiles(float("nan"), float("nan"), float("nan"))
    """From the alert until the customer's own expected next purchase, see ``PurchaseTable.expected``; negative:
    overdue."""

    @property
    def lift(self) -> float:
        """Precision over base rate."""
        return self.precision / self.base_rate


def alert_worth(
    alerts: Iterable[FiredAlert],
    purchases: Mapping[str, Sequence[int]],
    horizon_days: int,
    end: int,
    active_days: int = ACTIVE_DAYS,
    window: tuple[int, int] | None = None,
) -> AlertWorth:
    """Judge ``alerts`` by what customers did next.

    Args:
        alerts: one per episode.
        purchases: epoch milliseconds of each customer's purchases, ascending, for all customers that could have been
            alerted.
        horizon_days: an alert is right when no purchase follows within so many days.
        end: epoch milliseconds up to which ``purchases`` is complete; alerts whose horizon ends later are not counted.
        active_days: days after a purchase in which a customer is active.
        window: first and last moment (epoch milliseconds) at which alerts were looked for. None: from the first that
            counts until the last whose horizon is over.
    """
    table, horizon_ms, active_ms = PurchaseTable(purchases), horizon_days * DAY_MS, active_days * DAY_MS
    episodes = episodes_of(alerts, table, horizon_ms, active_ms, end)
    return worth_of(episodes, table, horizon_days, end, active_days, window)


def worth_of(
    episodes: Sequence[Episode],
    table: PurchaseTable,
    horizon_days: int,
    end: int,
    active_days: int = ACTIVE_DAYS,
    window: tuple[int, int] | None = None,
) -> AlertWorth:
    """The same of alerts that were looked up already."""
    counted = [episode for episode in episodes if episode.counted]
    if not counted:
        nan = float("nan")
        return AlertWorth(horizon_days, len(episodes), 0, nan, nan, nan, 0, nan)
    horizon_ms, active_ms = horizon_days * DAY_MS, active_days * DAY_MS
    first, last = window or (min(episode.raised_at for episode in counted), end - horizon_ms)
    rule = silence_rule(table, (first, last), len(counted), horizon_ms, active_ms, end)
    mine = _Counts.of([_row(table, e) for e in counted], [bool(e.right) for e in counted], len(table))
    theirs = _Counts.of(rule.rows, rule.right, len(table))
    weights = Draws(len(table), DRAWS).weights()
    precisions = mine.precision(weights)
    weeks = range(first, max(last, first + 1), 7 * DAY_MS)
    actives = float(np.mean([table.active(at, active_ms).sum() for at in weeks]))
    leads = [episode.lead_days for episode in counted if episode.lead_days is not None]
    return AlertWorth(
        horizon_days=horizon_days,
        fired=len(episodes),
        counted=len(counted),
        precision=float(np.mean([bool(episode.right) for episode in counted])),
        base_rate=float(np.mean([episode.base_rate or 0.0 for episode in counted])),
        rule_factor=rule.factor,
        rule_fired=len(rule.right),
        rule_precision=_share_right(rule),
        difference=interval(precisions - theirs.precision(weights)),
        recall=_recall(table, counted, (first, last)),
        per_1000_a_week=1000.0 * len(counted) / max(actives, 1.0) / max((last - first) / (7 * DAY_MS), 1.0),
        precision_interval=interval(precisions),
        lift_interval=interval(precisions / _base_rates(table, counted, weights, horizon_ms, active_ms)),
        lead_days=Quartiles(*np.percentile(leads, (25, 50, 75)).tolist()) if leads else Quartiles(*[float("nan")] * 3),
    )


class _Counts(NamedTuple):
    """Alerts by customer: all, and the right ones."""

    all: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[int], right: Sequence[bool], customers: int) -> _Counts:
        places = np.array(rows, np.intp)
        return cls(
            np.bincount(places, minlength=customers).astype(np.float64),
            np.bincount(places, np.array(right, np.float64), customers).astype(np.float64),
        )

    def precision(self, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """float64[draws]: NaN where no alert was drawn."""
        drawn = weights @ self.all
        return np.asarray(np.divide(weights @ self.right, drawn, out=np.full(len(weights), np.nan), where=drawn > 0))


def _base_rates(
    table: PurchaseTable,
    counted: Sequence[Episode],
    weights: npt.NDArray[np.float32],
    horizon_ms: int,
    active_ms: int,
) -> npt.NDArray[np.float64]:
    """float64[draws]: the base rate at the drawn alerts' instants, among the drawn customers."""
    total, alerts = np.zeros(len(weights)), np.zeros(len(weights))
    for start in range(0, len(counted), _TOGETHER):
        together = counted[start : start + _TOGETHER]
        active = np.stack([table.active(episode.raised_at, active_ms) for episode in together], axis=1)
        gone = active & np.stack([table.silent(episode.raised_at, horizon_ms) for episode in together], axis=1)
        drawn = weights[:, [_row(table, episode) for episode in together]]
        rates = (weights @ gone.astype(np.float32)) / np.maximum(weights @ active.astype(np.float32), 1.0)
        total += (drawn * rates).sum(axis=1)
        alerts += drawn.sum(axis=1)
    return np.asarray(np.divide(total, alerts, out=np.full(len(weights), np.nan), where=total > 0))


def _row(table: PurchaseTable, episode: Episode) -> int:
    row = table.row(episode.customer_id)
    if row is None:
        raise ValueError(f"customer {episode.customer_id} is counted and never bought: an episode of another table")
    return row


def _recall(table: PurchaseTable, counted: Sequence[Episode], window: tuple[int, int]) -> float:
    """Share of the last purchases within ``window`` that nothing followed until its end plus the horizon, and that a
    right alert followed."""
    lost = {
        row: times[-1] for row, times in enumerate(table.histories) if times and window[0] <= times[-1] <= window[1]
    }
    right = [(_row(table, episode), episode.raised_at) for episode in counted if episode.right]
    found = {row for row, at in right if row in lost and at >= lost[row]}
    return len(found) / len(lost) if lost else float("nan")


def _share_right(rule: RuleFired) -> float:
    return float(np.mean(rule.right)) if rule.right else float("nan")

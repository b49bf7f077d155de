"""Who is compared: customers whose alert was raised, in the arm that they were drawn into, from their first raise on.

Whether somebody is raised a first time depends on nothing that an arm could change; a second raise does, since those
who were mailed buy more. So a customer counts once in a draw, by the first raise that the log has. It reads no topic:
`reading.py` hands it alerts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import msgspec

from stream.contracts.alerts import Alert, Arm
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.decisions.kinds import segment_of
from stream.decisions.policies import Segment


class Unit(msgspec.Struct, kw_only=True):
    """A customer in one draw of the arms."""

    customer_id: str
    experiment: str
    salt_version: str
    share: float
    """Of the hold-out, when the alert was raised."""
    arm: Arm
    kind: str
    segment: Segment
    raised_at: int
    """Epoch milliseconds of event time."""
    days: int
    """Length of the window that begins then."""
    events_partition: int
    events_offset: int
    """Of the event that led there."""
    alert_ids: Collection[str] = ()
    """Of all of the customer's alerts in this draw."""
    corrected: bool = False
    """A repair has taken the alert back since: the customer was treated all the same, and counts."""
    moved: bool = False
    """A later alert lies in the other arm, because the share was changed; the first one counts."""

    @property
    def ends_at(self) -> int:
        """The last millisecond of the window; the first one is that after ``raised_at``."""
        return self.raised_at + self.days * DAY_MS


class _First(NamedTuple):
    """The first transition of an alert."""

    unit: Unit
    late: bool
    """A repair raised it, long after it should have been: nobody was told in time, in either arm."""


class Cohort:
    """Collects the alerts of both topics.

    Args:
        days: length of the windows; None: the horizon of each alert.
        high_value_from: as in the policies; revenue of a year.

    Attributes:
        alerts_left_out: alerts that are no message to a real customer, by why.
    """

    def __init__(self, days: int | None, high_value_from: float) -> None:
        self.alerts_left_out: Counter[str] = Counter()
        self._days = days
        self._high_value_from = high_value_from
        self._firsts: dict[tuple[str, str, str], dict[str, _First]] = {}
        """By customer, experiment and salt, and then by the alert's id."""
        self._headless: set[tuple[str, str, str]] = set()
        """Customers with an alert whose first transition the log has lost."""
        self._corrected: set[str] = set()

    def take(self, alert: Alert) -> None:
        """A transition; those of one alert in the order of the log."""
        if alert.mode != "live" or alert.simulated:
            self.alerts_left_out[alert.mode if alert.mode != "live" else "simulated"] += alert.revision == 1
            return
        draw = (alert.customer_id, alert.experiment.id, alert.experiment.salt_version)
        firsts = self._firsts.setdefault(draw, {})
        if alert.revision == 1:
            firsts[alert.alert_id] = _First(self._unit(alert), alert.correction is not None)
        elif alert.alert_id not in firsts:
            self._headless.add(draw)
        if alert.status == "corrected":
            self._corrected.add(alert.alert_id)

    def units(self) -> tuple[list[Unit], Counter[str]]:
        """Everybody who can be followed from their first raise on, in order of it; and how many cannot, by why."""
        left_out: Counter[str] = Counter()
        units = []
        for draw, firsts in self._firsts.items():
            if draw in self._headless:
                left_out["raised before the alerts that are kept"] += 1
                continue
            alert_id, (unit, late) = min(firsts.items(), key=lambda item: (item[1].unit.raised_at, item[0]))
            if late:
                left_out["raised late, by a repair"] += 1
                continue
            unit.alert_ids = frozenset(firsts)
            unit.corrected = alert_id in self._corrected
            unit.moved = any(first.unit.arm != unit.arm for first in firsts.values())
            units.append(unit)
        return sorted(units, key=lambda unit: (unit.raised_at, unit.customer_id)), left_out

    def _unit(self, alert: Alert) -> Unit:
        experiment = alert.experiment
        return Unit(
            customer_id=alert.customer_id,
            experiment=experiment.id,
            salt_version=experiment.salt_version,
            share=experiment.share,
            arm=experiment.arm,
            kind=alert.kind,
            segment=segment_of(alert, self._high_value_from),
            raised_at=to_epoch_ms(datetime.fromisoformat(alert.as_of)),
            days=alert.horizon_days if self._days is None else self._days,
            events_partition=alert.evidence.partition,
            events_offset=alert.evidence.last_offset,
        )

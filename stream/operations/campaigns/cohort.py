"""Who is compared: customers whose alert was raised, in the arm that they were drawn into, from their first raise on.

Whether somebody is raised a first time depends on nothing that an arm could change; a second raise does, since those
who were mailed buy more. So a customer counts once in a draw, by the first raise that the log has. It reads no topic:
`reading.py` hands it alerts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime

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
    alert_ids: Collection[str]
    """Of all of the customer's alerts in this draw."""
    corrected: bool = False
    """A repair has taken the alert back since: the customer was treated all the same, and counts."""
    moved: bool = False
    """A later alert lies in the other arm, because the share was changed; the first one counts."""

    @property
    def ends_at(self) -> int:
        """The last millisecond of the window; the first one is that after ``raised_at``."""
        return self.raised_at + self.days * DAY_MS


class Cohort:
    """Collects the alerts of both topics, in any order.

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
        self._firsts: dict[tuple[str, str, str], dict[str, Alert]] = {}
        """By customer, experiment and salt: the first transition of each alert, by its id."""
        self._whose: dict[str, tuple[str, str, str]] = {}
        self._corrected: set[str] = set()

    def take(self, alert: Alert) -> None:
        """A transition."""
        if alert.mode != "live" or alert.simulated:
            self.alerts_left_out[alert.mode if alert.mode != "live" else "simulated"] += alert.revision == 1
            return
        draw = (alert.customer_id, alert.experiment.id, alert.experiment.salt_version)
        self._whose[alert.alert_id] = draw
        if alert.revision == 1:
            self._firsts.setdefault(draw, {})[alert.alert_id] = alert
        if alert.status == "corrected":
            self._corrected.add(alert.alert_id)

    def units(self) -> tuple[list[Unit], Counter[str]]:
        """Everybody who can be followed from their first raise on, in order of it; and how many cannot, by why."""
        left_out: Counter[str] = Counter()
        headless = {draw for alert_id, draw in self._whose.items() if alert_id not in self._firsts.get(draw, ())}
        left_out["raised before the alerts that are kept"] = len(headless)
        units = []
        for draw, firsts in self._firsts.items():
            if draw in headless:
                continue
            first = min(firsts.values(), key=lambda alert: (_moment(alert.as_of), alert.alert_id))
            if first.correction is not None:
                # It was published long after it should have been: nobody was told in time, in either arm.
                left_out["raised late, by a repair"] += 1
                continue
            units.append(self._unit(first, firsts))
        return sorted(units, key=lambda unit: (unit.raised_at, unit.customer_id)), +left_out

    def _unit(self, first: Alert, firsts: dict[str, Alert]) -> Unit:
        experiment = first.experiment
        return Unit(
            customer_id=first.customer_id,
            experiment=experiment.id,
            salt_version=experiment.salt_version,
            share=experiment.share,
            arm=experiment.arm,
            kind=first.kind,
            segment=segment_of(first, self._high_value_from),
            raised_at=_moment(first.as_of),
            days=first.horizon_days if self._days is None else self._days,
            events_partition=first.evidence.partition,
            events_offset=first.evidence.last_offset,
            alert_ids=frozenset(firsts),
            corrected=first.alert_id in self._corrected,
            moved=any(alert.experiment.arm != experiment.arm for alert in firsts.values()),
        )


def _moment(text: str) -> int:
    return to_epoch_ms(datetime.fromisoformat(text))

"""Which transitions of alerts a subscription delivers.

Pure. A record becomes a delivery, or there is a reason why not. Called by ``subscription.py`` for every record that it
reads.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Literal, NamedTuple

import msgspec

from stream.contracts.alerts import Alert, Severity
from stream.contracts.codec import decode_alert_event
from stream.operations.subscriptions.outcomes import Delivery

Reason = Literal["kind", "severity", "holdout", "other"]

SEVERITIES: Final[tuple[Severity, ...]] = ("low", "medium", "high")

_SILENT_MOST: Final = 100_000
"""Alerts remembered as never told; of those beyond, some later transitions are told although their beginning was
not."""


class Unreadable(ValueError):
    """A record that is no transition of an alert."""


class Skipped(NamedTuple):
    """A record that is not delivered."""

    reason: Reason
    """``other``: it is another subscription's."""


class Wanted:
    """What one subscription wants.

    An alert is told from the first transition that reaches the severity on, and then to its end, whatever severity it
    falls to: who was told that it is high has to learn that it is not, and that it is over. Which alerts were never
    told is known only while they were seen from their first revision on; of all others, which may have been told
    before a restart, everything is. So a transition too many is possible, and one too few is not.

    Args:
        kinds: of alerts; none: all.
        least: severity.
    """

    def __init__(self, kinds: frozenset[str] = frozenset(), least: Severity = "low") -> None:
        self._kinds = kinds
        self._least = SEVERITIES.index(least)
        self._silent: OrderedDict[str, int] = OrderedDict()
        """Partition by id of open alerts that were never told, the one longest untouched first."""

    def look(self, partition: int, offset: int, key: bytes | None, value: bytes | None) -> Delivery | Skipped:
        """What becomes of a record. Those of a partition come in order.

        Raises:
            Unreadable: with what is wrong.
        """
        try:
            event = decode_alert_event(value or b"")
        except msgspec.DecodeError as error:
            raise Unreadable(f"no transition of an alert: {error}") from error
        alert = event.data
        if (key or b"") != alert.customer_id.encode():
            raise Unreadable("the record's key is not the alert's customer")
        if not (event.id.isascii() and event.id.isprintable() and event.id):
            raise Unreadable("its id cannot stand in a header of HTTP")
        if alert.experiment.arm == "holdout":
            return Skipped("holdout")
        if self._kinds and alert.kind not in self._kinds:
            return Skipped("kind")
        if not self._tells(partition, alert):
            return Skipped("severity")
        return Delivery(
            partition=partition,
            offset=offset,
            key=key or b"",
            id=event.id,
            body=value or b"",
            evidence=None if alert.resolve_reason == "erased" else alert.evidence,
        )

    def forget(self, partitions: set[int]) -> None:
        """What was seen of these partitions says nothing any more: another process may go on with them."""
        for alert_id in [alert_id for alert_id, partition in self._silent.items() if partition in partitions]:
            del self._silent[alert_id]

    def _tells(self, partition: int, alert: Alert) -> bool:
        if SEVERITIES.index(alert.severity) >= self._least:
            self._silent.pop(alert.alert_id, None)
            return True
        if alert.revision > 1 and alert.alert_id not in self._silent:
            return True
        if alert.status in ("raised", "updated"):
            self._silent[alert.alert_id] = partition
            self._silent.move_to_end(alert.alert_id)
            if len(self._silent) > _SILENT_MOST:
                self._silent.popitem(last=False)
        else:
            self._silent.pop(alert.alert_id, None)
        return False

"""How many alerts of a kind a day may still have: counters by event-time day, one set for each partition.

Customers of a partition share it in log order, so the same log gives the same decisions, whatever the batches. The
engine keeps it beside the partition's states; ``decide`` asks and counts.
"""

from typing import Final

import msgspec

DAYS_KEPT: Final = 8
"""Requests are at most some days of event time apart (lateness is 72 h by default); older days count towards the
oldest kept."""


def partition_share(total: int, partition: int, partitions: int) -> int:
    """What a partition has of a deployment's ``total``: shares differ by one at most, and add up to it.

    >>> [partition_share(10, partition, 4) for partition in range(4)]
    [3, 3, 2, 2]
    """
    return total // partitions + (partition < total % partitions)


class Budget(msgspec.Struct, array_like=True):
    """Alerts raised, by day since the epoch and kind: ``{15127: {"churn_risk": 3}}``. At most ``DAYS_KEPT`` days."""

    days: dict[int, dict[str, int]] = {}

    def spent(self, kind: str, day: int) -> int:
        """Alerts of ``kind`` already counted for ``day``."""
        return self.days.get(self._kept(day), {}).get(kind, 0)

    def count(self, kind: str, day: int) -> None:
        """Count one more, and forget days that are too old to come again."""
        day = self._kept(day)
        kinds = self.days.setdefault(day, {})
        kinds[kind] = kinds.get(kind, 0) + 1
        for old in sorted(self.days)[:-DAYS_KEPT]:
            del self.days[old]

    def _kept(self, day: int) -> int:
        # A day whose counter is forgotten must not start anew, or late requests would have a budget of their own.
        return max(day, min(self.days)) if len(self.days) >= DAYS_KEPT else day

"""Until when Kafka keeps bytes, by the settings that a topic has on the broker.

Every moment is the latest one: Kafka may be done long before. Pure; called by `found.py`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from stream.contracts.times import HOUR_MS
from stream.workers.decisions import FILLER_GRID_MS

SLACK_MS: Final = HOUR_MS
"""For the cleaner's pass itself: the broker looks every few minutes, and may be busy with other partitions."""


class Keeping(msgspec.Struct, frozen=True):
    """How long a topic keeps records, in milliseconds, by Kafka's names."""

    cleanup_policy: str
    retention_ms: int
    """Below 0: for ever."""
    segment_ms: int
    max_compaction_lag_ms: int
    delete_retention_ms: int

    @property
    def compacted(self) -> bool:
        return "compact" in self.cleanup_policy

    def deleted_by(self, appended: int) -> int | None:
        """When a record of a topic that is not compacted is gone; None: never.

        A segment goes as a whole, once its newest record is old enough, and takes records for ``segment.ms``.
        """
        return None if self.retention_ms < 0 else appended + self.segment_ms + self.retention_ms + SLACK_MS

    def cleaned_by(self, null_appended: int) -> int:
        """When a null has taken away the older records of its key.

        Kafka cleans closed segments alone, and closes one at the first append after ``segment.ms``, or after
        ``max.compaction.lag.ms`` where that is less. On a partition whose customers are silent the next filler is that
        append.
        """
        return null_appended + min(self.segment_ms, self.max_compaction_lag_ms) + FILLER_GRID_MS + SLACK_MS

    def null_gone_by(self, null_appended: int) -> int:
        """When the null itself is gone: ``delete.retention.ms`` counts from the first cleaning, and another one has to
        follow."""
        return self.cleaned_by(self.cleaned_by(null_appended) + self.delete_retention_ms)


def keeping_of(settings: dict[str, str | None]) -> Keeping:
    """From the settings of a topic as the broker describes them, defaults included."""
    return Keeping(
        cleanup_policy=settings["cleanup.policy"] or "",
        retention_ms=int(settings["retention.ms"] or 0),
        segment_ms=int(settings["segment.ms"] or 0),
        max_compaction_lag_ms=int(settings["max.compaction.lag.ms"] or 0),
        delete_retention_ms=int(settings["delete.retention.ms"] or 0),
    )

"""Where a worker ends that folds a part of the log: at an offset of each partition.

Replays fold so, up to a moment and no further. Called by ``stream.engine.intake`` for what comes in and by
``stream.engine.worker`` to learn whether it is done; a worker without an end knows nothing of it.
"""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message

from stream.engine.holdings import Holdings


class Until:
    """The ends of a worker's input.

    Args:
        offsets: of the first record that is not folded any more, by partition; a partition that has none is not read.
    """

    def __init__(self, offsets: Mapping[int, int]) -> None:
        self._offsets = dict(offsets)
        self._passed: set[int] = set()
        """Partitions whose end was seen, by a record behind it or by the end of the log."""
        self._newest: dict[int, int] = {}
        """Offset of the newest record before the end that was taken in."""

    def within(self, messages: list[Message], consumer: Consumer, holdings: Holdings[Any, Any]) -> list[Message]:
        """What was consumed, without what lies behind the ends. A partition that is at its end is paused."""
        kept: list[Message] = []
        for message in messages:
            number, offset, error = message.partition() or 0, message.offset() or 0, message.error()
            end = self._offsets.get(number, 0)
            if error is None and offset < end:
                self._newest[number] = max(offset, self._newest.get(number, -1))
                kept.append(message)
                continue
            if error is not None:
                kept.append(message)
            # Before it is restored a partition stands at the end of the log, which says nothing.
            ended = error is None or error.code() == KafkaError._PARTITION_EOF
            if ended and offset >= end and number in holdings.held and number not in self._passed:
                self._passed.add(number)
                consumer.pause(holdings.at(number))
        return kept

    def reached(self, partitions: int, consumer: Consumer, holdings: Holdings[Any, Any]) -> bool:
        """Whether all that lies before the ends is folded and committed."""
        return all(self._is_done(number, consumer, holdings) for number in range(partitions))

    def _is_done(self, number: int, consumer: Consumer, holdings: Holdings[Any, Any]) -> bool:
        held = holdings.held.get(number)
        if held is None or number not in self._passed or held.pending or held.partition.uncommitted:
            return False
        if held.partition.committed_offset > self._newest.get(number, -1):
            return True
        # It was put back to its last commit, and what lies behind that has to come again.
        self._passed.discard(number)
        consumer.resume(holdings.at(number))
        return False

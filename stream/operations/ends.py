"""Looks at single records of a topic: the first behind a place, the newest of a kind, all from a place to the end.

Committed records alone. The consumer must report the end of partitions (`enable.partition.eof`); it is left without
an assignment. Called by `status.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.operations.brokers import ANSWER_WITHIN, bounds_of, partitions_of

_LOOK_BACK: Final = 64
"""Records before the end at which the newest of a kind is looked for first; then eight times as many, and so on."""


def first_records(consumer: Consumer, starts: list[TopicPartition]) -> dict[int, Message]:
    """The first record at or behind each place, by partition; none where the end comes first."""
    found: dict[int, Message] = {}
    for start in starts:
        first = next(records_from(consumer, start), None)
        if first is not None:
            found[start.partition] = first
    return found


def newest_records(
    consumer: Consumer, topic: str, wanted: Callable[[Message], bool] = lambda message: True
) -> dict[int, Message]:
    """The newest record that is ``wanted``, by partition; none where a partition has none."""
    found: dict[int, Message] = {}
    for place in partitions_of(consumer, [topic]):
        low, high = bounds_of(consumer, place)
        back, start = _LOOK_BACK, high
        while place.partition not in found and start > low:
            start = max(low, high - back)
            back *= 8
            for message in records_from(consumer, TopicPartition(topic, place.partition, start)):
                if wanted(message):
                    found[place.partition] = message
    return found


def records_from(consumer: Consumer, start: TopicPartition) -> Iterator[Message]:
    """Every record of one partition from ``start`` to its present end."""
    consumer.assign([start])
    try:
        while (message := consumer.poll(ANSWER_WITHIN)) is not None:
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                return
            elif error.fatal() or not error.retriable():
                raise KafkaException(error)
    finally:
        consumer.unassign()

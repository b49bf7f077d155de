"""Reads single partitions: records up to an offset, and the states that a changelog holds as of its last commit.

It knows no fold; what the records mean is for `refold.py` and `verifying.py`, which call it with `states.py` and the
explanation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.configuration.settings import KafkaSettings
from stream.engine.position import POSITION_KEY, Position, decode_position
from stream.engine.processor import Record
from stream.operations.brokers import (
    ANSWER_WITHIN,
    KafkaUnreachableError,
    connect_admin,
    headers_of,
    make_consumer,
    settled_ends,
)

GROUP: Final = "tidemark.history"
_BATCH: Final = 5_000
_WAIT_S: Final = 0.05

Progress = Callable[[int, int], None]
"""Called with how many offsets are behind, and of how many."""


class LiveStates(msgspec.Struct):
    """What a changelog partition holds, as of its last commit.

    Attributes:
        position: how far the input is folded; None where nothing was ever committed.
        states: framed values (``stream.engine.position``) by key.
    """

    position: Position | None
    states: dict[bytes, bytes]


def open_consumer(kafka: KafkaSettings) -> Consumer:
    """A consumer for ``records``. An offset that is not there any more is an error, and not skipped."""
    connect_admin(kafka)
    return make_consumer(kafka, GROUP, **{"auto.offset.reset": "error", "fetch.wait.max.ms": 50})


def committed_end(kafka: KafkaSettings, topic: str, partition: int) -> int:
    """Offset behind what is committed now."""
    return settled_ends(connect_admin(kafka), [TopicPartition(topic, partition)])[topic, partition]


def records(
    consumer: Consumer, topic: str, partition: int, start: int, end: int, progress: Progress | None = None
) -> Iterator[Message]:
    """The committed records of one partition from ``start`` up to ``end``, which is left out.

    Raises:
        KafkaUnreachableError: Kafka gives nothing more before ``end``: what is incomplete must not pass for whole.
        KafkaException: the topic cannot be read.
    """
    if start >= end:
        return
    place = TopicPartition(topic, partition, start)
    consumer.assign([place])
    try:
        heard = time.monotonic()
        while True:
            for message in consumer.consume(_BATCH, _WAIT_S):
                _check(message)
                if message.error() is None:
                    heard = time.monotonic()
                    if (message.offset() or 0) >= end:
                        return
                    yield message
            # Markers of transactions are no records: the position tells, not the last record.
            reached = consumer.position([place])[0].offset
            if progress is not None:
                progress(max(reached, start) - start, end - start)
            if reached >= end:
                return
            if time.monotonic() - heard > ANSWER_WITHIN:
                raise KafkaUnreachableError(
                    f"{topic}[{partition}]: nothing came for {ANSWER_WITHIN:.0f} s at offset {max(reached, start):,} "
                    f"of {end:,}: run it again when Kafka answers"
                )
    finally:
        consumer.unassign()


def _check(message: Message) -> None:
    error = message.error()
    if error is not None and (error.fatal() or not error.retriable() or error.code() == KafkaError._AUTO_OFFSET_RESET):
        raise KafkaException(error)


def record_of(message: Message) -> Record:
    """A message as the engine knows records."""
    return Record(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        headers_of(message),
    )


def live_states(
    kafka: KafkaSettings,
    consumer: Consumer,
    changelog: str,
    partition: int,
    progress: Progress | None = None,
    wanted: Callable[[bytes], bool] | None = None,
) -> LiveStates:
    """What the changelog says of every key of a partition, or of those that are ``wanted``.

    A transaction counts only with its position, which is its last record: what was begun while this reads is left out,
    so that states and position belong together.
    """
    low, _ = consumer.get_watermark_offsets(TopicPartition(changelog, partition), timeout=ANSWER_WITHIN)
    end = committed_end(kafka, changelog, partition)
    found = LiveStates(None, {})
    begun: dict[bytes, bytes | None] = {}
    for message in records(consumer, changelog, partition, low, end, progress):
        key, value = message.key() or b"", message.value()
        if key != POSITION_KEY:
            if wanted is None or wanted(key):
                begun[key] = value
            continue
        found.position = decode_position(value or b"")
        for changed, framed in begun.items():
            if framed is None:
                found.states.pop(changed, None)
            else:
                found.states[changed] = framed
        begun.clear()
    return found

"""Reads a topic as it grows, committed records alone.

How a record is shown is `rendering.py`'s business. Called by `tidemark tail`.
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from contextlib import closing
from typing import Any

import msgspec
import orjson
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from stream.configuration.settings import KafkaSettings
from stream.contracts.emission import Headers
from stream.operations.brokers import bounds_of, connect_admin, headers_of, make_consumer, partitions_of, read_to_end

GROUP = "tidemark.tail"


class TailedRecord(msgspec.Struct, frozen=True, gc=False):
    """One record as it lies in the topic. ``timestamp`` in epoch milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def as_json(self) -> bytes:
        """One line: value and key as JSON where they are, else as text, else in base64."""
        headers = {name: _readable(value) for name, value in self.headers}
        fields = {**msgspec.structs.asdict(self), "headers": headers}
        fields["key"] = None if self.key is None else _text(self.key)
        fields["value"] = None if self.value is None else _readable(self.value)
        try:
            return orjson.dumps(fields)
        except orjson.JSONEncodeError:
            # JSON nested more deeply than can be written again.
            fields["value"] = None if self.value is None else _text(self.value)
            fields["headers"] = {name: _text(value) for name, value in self.headers}
            return orjson.dumps(fields)


def tail(
    kafka: KafkaSettings, topic: str, *, from_beginning: bool = False, follow: bool = True, limit: int | None = None
) -> Generator[TailedRecord]:
    """Records of ``topic`` (its name on the broker), in order within each partition.

    Args:
        from_beginning: start at the oldest record instead of behind the newest.
        follow: wait for more at the end; otherwise what is committed now is all.
        limit: stop after so many.

    Raises:
        MissingTopicError: there is no such topic on the broker.
    """
    consumer = make_consumer(kafka, GROUP, **{"fetch.wait.max.ms": 100})
    try:
        records = (
            _followed(consumer, topic, from_beginning) if follow else _present(kafka, consumer, topic, from_beginning)
        )
        with closing(records):
            for count, message in enumerate(records, start=1):
                yield _record(message)
                if count == limit:
                    return
    finally:
        consumer.close()


def _present(kafka: KafkaSettings, consumer: Consumer, topic: str, from_beginning: bool) -> Generator[Message]:
    if from_beginning:
        yield from read_to_end(consumer, connect_admin(kafka), [topic])


def _followed(consumer: Consumer, topic: str, from_beginning: bool) -> Generator[Message]:
    starts: list[TopicPartition] = []
    for place in partitions_of(consumer, [topic]):
        low, high = bounds_of(consumer, place)
        starts.append(TopicPartition(place.topic, place.partition, low if from_beginning else high))
    consumer.assign(starts)
    while True:
        message = consumer.poll(0.5)
        if message is None:
            continue
        error = message.error()
        if error is None:
            yield message
        elif error.fatal() or not error.retriable():
            raise KafkaException(error)


def _record(message: Message) -> TailedRecord:
    return TailedRecord(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=headers_of(message),
    )


def _readable(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return _text(value)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()

"""One dead letter as it lies on its topic, and all of them, one after the other.

Payloads have up to 900 KiB, so letters are streamed and never all held. Which of them are wanted is `filters.py`'s
business, which are open `settled.py`'s. Called by everything else in this package.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.contracts.dead_letters import KEY_LIMIT, Verdict, read_verdict
from stream.contracts.emission import Headers
from stream.contracts.settlements import LetterId
from stream.contracts.times import EARLIEST_MS, LATEST_MS
from stream.operations.brokers import (
    ANSWER_WITHIN,
    KafkaUnreachableError,
    bounds_of,
    headers_of,
    partitions_of,
    settled_ends,
)

FOREIGN: Final = "foreign"
"""Code of a record that lies among the dead letters and is none."""

FETCHING: Final[dict[str, Any]] = {
    "enable.auto.commit": False,
    "queued.max.messages.kbytes": 16 * 1024,
    "fetch.queue.backoff.ms": 10,
}
"""Of a consumer that reads letters. librdkafka would fetch 64 MiB ahead, and wait for a second each time it has."""

_POLL_S: Final = 0.05
_SILENCE_S: Final = 3 * ANSWER_WITHIN


class Place(NamedTuple):
    """Where a letter lies on the dead-letter topic; people type it as ``3:1207``."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


class Letter(NamedTuple):
    """A dead letter."""

    topic_id: str
    """Kafka's id of the topic that it lies on."""
    place: Place
    refused_at: int
    """When it was written, epoch milliseconds."""
    key: bytes | None
    value: bytes | None
    verdict: Verdict | None
    """None: no dead letter of Tidemark."""
    headers: Headers
    """All of them, ours and the record's own."""

    @property
    def id(self) -> LetterId:
        return LetterId(self.topic_id, *self.place)

    @property
    def code(self) -> str:
        return FOREIGN if self.verdict is None else self.verdict.code

    @property
    def field(self) -> str:
        return "" if self.verdict is None else self.verdict.field

    @property
    def message(self) -> str:
        return "" if self.verdict is None else self.verdict.message

    @property
    def origin(self) -> str:
        """``topic:partition:offset`` of the refused record; empty where the letter does not say."""
        return "" if self.verdict is None else "{}:{}:{}".format(*self.verdict.origin)

    @property
    def cut(self) -> bool:
        """Whether bytes of the record are missing."""
        verdict = self.verdict
        return len(self.key or b"") >= KEY_LIMIT or (verdict is not None and verdict.original_length is not None)

    @property
    def timer(self) -> bool:
        """Whether no record was refused, but a customer's timer, or a signal to the customer."""
        return self.value is None and self.verdict is not None and self.verdict.timestamp == 0


class Stretch(NamedTuple):
    """Part of one partition: letters from ``first`` to before ``end``."""

    partition: int
    first: int
    end: int


def topic_id(admin: AdminClient, topic: str) -> str:
    """Kafka's id of a topic that is there."""
    described = admin.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_WITHIN)
    return str(described[topic].result().topic_id)


def whole_topic(consumer: Consumer, admin: AdminClient, topic: str) -> list[Stretch]:
    """Every letter that is there now. Those that a re-drive brings about lie behind, so that it comes to an end.

    Raises:
        MissingTopicError: there is no such topic.
        AccessError: this user may not read it.
    """
    places = partitions_of(consumer, [topic])
    ends = settled_ends(admin, places)
    lows = {place.partition: bounds_of(consumer, place)[0] for place in places}
    return [Stretch(place.partition, lows[place.partition], ends[topic, place.partition]) for place in places]


def read_letters(consumer: Consumer, topic: str, topic_id: str, stretches: Iterable[Stretch]) -> Iterator[Letter]:
    """The letters of the stretches, in order.

    Args:
        consumer: made with ``FETCHING``; left without an assignment.
        topic: physical name.
    """
    for partition, first, end in stretches:
        if first >= end:
            continue
        consumer.assign([TopicPartition(topic, partition, first)])
        try:
            for message in _messages(consumer, TopicPartition(topic, partition), end):
                yield _letter(message, topic_id)
        finally:
            consumer.unassign()


def _messages(consumer: Consumer, place: TopicPartition, end: int) -> Iterator[Message]:
    heard = time.monotonic()
    while True:
        message = consumer.poll(_POLL_S)
        if message is None:
            # The end may be a marker of a transaction, which is no record: then the position tells.
            if consumer.position([place])[0].offset >= end:
                return
            if time.monotonic() - heard > _SILENCE_S:
                raise KafkaUnreachableError("Kafka stopped to answer while dead letters were read: run it again")
            continue
        heard = time.monotonic()
        if (message.offset() or 0) >= end and message.error() is None:
            return
        error = message.error()
        if error is None:
            yield message
            if message.offset() == end - 1:
                return
        elif error.fatal() or not error.retriable():
            raise KafkaException(error)


def _letter(message: Message, topic_id: str) -> Letter:
    headers = headers_of(message)
    try:
        verdict = read_verdict(headers)
    except ValueError:
        verdict = None
    return Letter(
        topic_id=topic_id,
        place=Place(message.partition() or 0, message.offset() or 0),
        # A stranger may write any number, which no calendar has a day for.
        refused_at=min(max(message.timestamp()[1], EARLIEST_MS), LATEST_MS - 1),
        key=message.key(),
        value=message.value(),
        verdict=verdict,
        headers=headers,
    )

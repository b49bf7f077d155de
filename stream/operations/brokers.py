"""Connects operations to Kafka, and says so plainly when nobody answers.

It makes clients from the configuration and knows nothing of what is done with them. Called by every operation that
talks to Kafka.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.configuration.clients import client_properties, consumer_properties, producer_properties
from stream.configuration.settings import KafkaSettings
from stream.contracts.emission import Headers

ANSWER_WITHIN: Final = 10.0
"""Seconds until a broker that does not answer counts as unreachable."""

RETRY_SECONDS: Final = 0.05

# librdkafka writes every lost connection to standard error, in the middle of a progress bar. What matters is raised
# as well.
QUIET: Final = {"log_level": 0}


_NOT_YET: Final = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


class KafkaUnreachableError(ConnectionError):
    """No broker answered."""


class MissingTopicError(LookupError):
    """A topic that must be there is not."""


def connect_admin(kafka: KafkaSettings) -> AdminClient:
    """An AdminClient of a cluster that answers.

    Raises:
        KafkaUnreachableError: nobody answered within ten seconds.
    """
    admin = AdminClient({**QUIET, **client_properties(kafka)})
    try:
        admin.list_topics(timeout=ANSWER_WITHIN)
    except KafkaException as error:
        raise KafkaUnreachableError(
            f"no Kafka answers at {kafka.bootstrap_servers}: "
            "start one with `tidemark up`, or set kafka.bootstrap_servers"
        ) from error
    return admin


def make_consumer(kafka: KafkaSettings, group: str, **properties: Any) -> Consumer:
    """A consumer of committed records that starts where nothing was committed at the beginning."""
    own = {"group.id": group, "auto.offset.reset": "earliest"}
    return Consumer({**QUIET, **own, **consumer_properties(kafka), **properties})


def make_producer(kafka: KafkaSettings, **properties: Any) -> Producer:
    """A producer that partitions by murmur2."""
    return Producer({**QUIET, **producer_properties(kafka), **properties})


def headers_of(message: Message) -> Headers:
    """Headers of a record in order; one without a value has an empty one."""
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return tuple((name, value or b"") for name, value in headers)


def partitions_of(consumer: Consumer, topics: Iterable[str]) -> list[TopicPartition]:
    """Every partition of the topics, in order.

    Raises:
        MissingTopicError: one of them does not exist.
    """
    found: list[TopicPartition] = []
    for topic in topics:
        metadata = consumer.list_topics(topic, timeout=ANSWER_WITHIN).topics[topic]
        if metadata.error is not None:
            raise MissingTopicError(f"topic {topic} does not exist: create the topics with `tidemark topics`")
        found += [TopicPartition(topic, partition) for partition in sorted(metadata.partitions)]
    return found


def bounds_of(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """Offset of the first record of a partition, and the one behind the last.

    A broker that has only just heard of the topic is asked again: it answers that it does not lead the partition.
    """
    give_up = time.monotonic() + ANSWER_WITHIN
    while True:
        try:
            low, high = consumer.get_watermark_offsets(place, timeout=ANSWER_WITHIN)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_YET or time.monotonic() > give_up:
                raise
            time.sleep(RETRY_SECONDS)
        else:
            return low, high


def read_to_end(consumer: Consumer, topics: Iterable[str]) -> Iterator[Message]:
    """Every committed record that the topics hold now, partition by partition in no particular order.

    The ends are asked for first, so records that are written meanwhile do not keep it going.
    """
    left: dict[tuple[str, int], int] = {}
    starts: list[TopicPartition] = []
    for partition in partitions_of(consumer, topics):
        low, high = bounds_of(consumer, partition)
        if low < high:
            starts.append(TopicPartition(partition.topic, partition.partition, low))
            left[partition.topic, partition.partition] = high
    if not starts:
        return
    consumer.assign(starts)
    try:
        while left:
            for message in consumer.consume(5_000, timeout=0.05):
                if message.error() is None and (message.topic(), message.partition()) in left:
                    yield message
            # Markers of transactions at the end are no records, so the position tells, not the last record.
            for position in consumer.position([TopicPartition(*pair) for pair in left]):
                if position.offset >= left[position.topic, position.partition]:
                    del left[position.topic, position.partition]
    finally:
        consumer.unassign()

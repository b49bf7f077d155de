"""Topics of one test: created under a prefix of their own, written, read as a careful consumer would, and deleted.

It talks to any broker, so tests against a shared cluster can use it too. Everything waits for the broker's answer: when
a call returns, what it did is done.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from stream.operations.brokers import settled_ends

DEFAULT_TIMEOUT_SECONDS = 10.0
# librdkafka's own lines, such as every connection that a stopping broker ends, in the middle of a test's output.
_KAFKA_LOG = logging.getLogger("tidemark.kafka.testing")
_KAFKA_LOG.addHandler(logging.NullHandler())
# Larger than the records any test may want refused by what it tests.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024 - 1024


@dataclass(frozen=True)
class Record:
    """One record as it lies in a topic. `timestamp_ms` is in epoch milliseconds; a null key or value is None."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


class Topics:
    """Topics under one random prefix.

    `create` and `name` put the prefix before a name; every other method takes names as they are on the broker, so that
    topics which the tested program made itself can be read too.

    Parameters
    ----------
    bootstrap_servers
        The brokers' addresses.
    label
        A word for the prefix, so that a topic's name tells whose it is.

    Examples
    --------
    >>> def test_upper_case(topics):  # doctest: +SKIP
    ...     source, sink = topics.create("source"), topics.create("sink")
    ...     topics.produce(source, [("key", "value")])
    ...     run_my_processor(topics.bootstrap_servers, source, sink)
    ...     assert [record.value for record in topics.consume(sink)] == [b"VALUE"]
    """

    def __init__(self, bootstrap_servers: str, *, label: str = "test") -> None:
        self.bootstrap_servers = bootstrap_servers
        self.prefix = f"{label}.{uuid.uuid4().hex[:8]}."
        common: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, "logger": _KAFKA_LOG}
        self._admin = AdminClient(common)
        self._producer = Producer(
            {
                **common,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "linger.ms": 0,
            }
        )

    def name(self, name: str) -> str:
        """The name on the broker; a name that has the prefix stays as it is."""
        return name if name.startswith(self.prefix) else self.prefix + name

    def create(self, name: str, *, partitions: int = 1, settings: Mapping[str, str] | None = None) -> str:
        """Create a topic with Kafka's `settings` and return its name on the broker.

        Raises
        ------
        KafkaException
            If it exists, or a setting is unknown.
        """
        topic = self.name(name)
        created = self._admin.create_topics(
            [NewTopic(topic, num_partitions=partitions, replication_factor=1, config=dict(settings or {}))]
        )
        created[topic].result(DEFAULT_TIMEOUT_SECONDS)
        return topic

    def delete(self, *topics: str) -> None:
        """Delete topics; one that does not exist is no error."""
        for deleted in self._admin.delete_topics(list(topics)).values():
            try:
                deleted.result(DEFAULT_TIMEOUT_SECONDS)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise

    def delete_all(self) -> None:
        """Delete every topic under the prefix, whoever created it."""
        present = self._admin.list_topics(timeout=DEFAULT_TIMEOUT_SECONDS).topics
        own = [topic for topic in present if topic.startswith(self.prefix)]
        if own:
            self.delete(*own)

    def produce(
        self,
        topic: str,
        records: Iterable[tuple[str | bytes | None, str | bytes | None]],
        *,
        partition: int | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> None:
        """Write (key, value) pairs in order and return when the broker has them all.

        Keys are partitioned by murmur2, as Java's clients and Tidemark do, unless `partition` is given.

        Raises
        ------
        KafkaException
            If the broker refuses one.
        """
        refused: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                refused.append(error)

        place: dict[str, Any] = {} if partition is None else {"partition": partition}
        for key, value in records:
            self._producer.produce(
                topic, key=key, value=value, headers=dict(headers or {}), on_delivery=delivered, **place
            )
            self._producer.poll(0)
        self._producer.flush(DEFAULT_TIMEOUT_SECONDS)
        if refused:
            raise KafkaException(refused[0])

    def consume(
        self, topic: str, *, count: int | None = None, timeout: float = DEFAULT_TIMEOUT_SECONDS
    ) -> list[Record]:
        """All committed records of a topic from its start, in order within each partition.

        Parameters
        ----------
        count
            Wait until so many have been committed, and return all that came. Without it: what is committed now.
        timeout
            Seconds to wait.

        Raises
        ------
        KafkaException
            If there is no such topic.
        TimeoutError
            If the records, or the end of what is committed, were not reached in time.
        """
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "logger": _KAFKA_LOG,
                "group.id": f"{self.prefix}reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 50,
            }
        )
        try:
            return self._read(consumer, topic, count, time.monotonic() + timeout)
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, topic: str, count: int | None, deadline: float) -> list[Record]:
        described = self._admin.list_topics(topic, timeout=DEFAULT_TIMEOUT_SECONDS).topics[topic]
        if described.error is not None:
            raise KafkaException(described.error)
        partitions = described.partitions
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        # They lie before every transaction that is held open, and behind those that were just committed.
        ends = settled_ends(self._admin, [TopicPartition(topic, partition) for partition in partitions])
        unread = {partition: end for (_, partition), end in ends.items()}
        records: list[Record] = []
        while unread or (count is not None and len(records) < count):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"topic {topic}: {len(records)} committed records came in time, {count or 'all'} were waited for; "
                    f"partitions not read to their end: {sorted(unread)}"
                )
            message = consumer.poll(0.1)
            if message is None:
                continue
            error = message.error()
            partition, offset = _place(message)
            if error is None:
                records.append(_record(topic, message))
            elif error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            elif offset >= unread.get(partition, 0):
                # An end told with a smaller offset was that of an older answer.
                unread.pop(partition, None)
        return records

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delete_all()


def _place(message: Message) -> tuple[int, int]:
    """Partition and offset, which the types allow to be None for events that do not concern one partition."""
    return cast("tuple[int, int]", (message.partition(), message.offset()))


def _record(topic: str, message: Message) -> Record:
    partition, offset = _place(message)
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=message.key(),
        value=message.value(),
        timestamp_ms=message.timestamp()[1],
        headers=cast("list[tuple[str, bytes | None]]", message.headers() or []),
    )

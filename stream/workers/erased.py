"""Who was erased, and up to which offset: what a fold of the log has to skip for ever.

A role that goes on where it stopped never meets such a record again: it has forgotten the customer itself. Whoever
folds from further back does: a worker without state, a replay, ``tidemark state`` and ``explain``, training. Read once
before a fold begins, since what is erased later lies ahead of it, in the same log.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.contracts import topics
from stream.contracts.codec import decode_erasure
from stream.contracts.erasures import Erasure, erasure_key
from stream.contracts.topics import TopicNames
from stream.engine.clients import Properties
from stream.engine.cluster import count_partitions

_ANSWER_S: Final = 10.0


class Remembered(NamedTuple):
    """A record of the topic."""

    key: bytes
    erasure: Erasure
    written_at: int = 0
    """When the role had forgotten, by its worker's clock, epoch milliseconds."""


class Erasures:
    """Those whom one role has forgotten.

    Args:
        secret: of the deployment.
        role: whose records count.
        topic_id: Kafka's id of the events topic; records of another one say nothing of this log.
        records: in the order of the topic.
    """

    def __init__(
        self,
        secret: bytes = b"",
        role: str = "",
        topic_id: str = "",
        records: Iterable[Remembered] = (),
    ) -> None:
        self.topic_id = topic_id
        self.count = 0
        """Erasures that told something new; grows with them."""
        self._secret = secret
        self._role = role
        self._records: dict[bytes, Remembered] = {}
        self._ends: dict[int, int] = {}
        for remembered in records:
            self.add(remembered)

    def add(self, remembered: Remembered) -> None:
        """Take note of a record; one of another log, or of another role, says nothing."""
        erasure = remembered.erasure
        if erasure.topic_id != self.topic_id or erasure.role != self._role:
            return
        known = self._records.get(remembered.key)
        # A log that is folded anew says again what it said before, behind what was said since.
        if known is None or erasure.offset > known.erasure.offset:
            self._records[remembered.key] = remembered
            self._ends[erasure.partition] = max(erasure.offset, self._ends.get(erasure.partition, 0))
            self.count += 1

    def end(self, partition: int) -> int:
        """Offset of the newest erasure on a partition of the events; nothing at it or behind it is skipped."""
        return self._ends.get(partition, 0)

    def before(self, subject: bytes, partition: int, offset: int) -> bool:
        """Whether an event, or what was made because of it, lies before its customer's erasure."""
        if offset >= self.end(partition):
            return False
        remembered = self.of(subject)
        if remembered is None:
            return False
        return remembered.erasure.partition == partition and offset < remembered.erasure.offset

    def has(self, subject: bytes, erasure: Erasure) -> bool:
        """Whether this erasure, or a later one, is on record already: a log that is folded anew tells nothing new."""
        remembered = self.of(subject)
        if remembered is None:
            return False
        return remembered.erasure.partition == erasure.partition and erasure.offset <= remembered.erasure.offset

    def of(self, subject: bytes) -> Remembered | None:
        """The newest erasure of a customer or visitor; None where there was none."""
        return self._records.get(self.key(subject)) if self._records else None

    def key(self, subject: bytes) -> bytes:
        """The key of the record that says that ``subject`` was erased."""
        return erasure_key(self._secret, self._role, subject)


def read_erasures(kafka: Properties, names: TopicNames, secret: str, role: str) -> Erasures:
    """Those whom ``role`` has forgotten so far.

    Args:
        names: of the deployment, or of a replay, which has the erasures of the live one.

    Raises:
        TopicMismatch: a topic is missing.
        ClusterUnreachable, KafkaException, TimeoutError: Kafka does not answer.
    """
    topic = names.physical(topics.ERASURES)
    count_partitions(AdminClient(dict(kafka)), topic)
    return Erasures(secret.encode(), role, id_of_events(kafka, names), _records(kafka, topic))


def id_of_events(kafka: Properties, names: TopicNames) -> str:
    """Kafka's id of the events topic, by which an erasure says of which log it is.

    Raises:
        TopicMismatch: it is missing.
        ClusterUnreachable, KafkaException: Kafka does not answer.
    """
    admin, events = AdminClient(dict(kafka)), names.physical(topics.EVENTS)
    count_partitions(admin, events)
    described = admin.describe_topics(TopicCollection([events]), request_timeout=_ANSWER_S)
    return str(described[events].result().topic_id)


def _records(kafka: Properties, topic: str) -> list[Remembered]:
    found: list[Remembered] = []
    consumer = Consumer(
        {
            "fetch.wait.max.ms": 20,
            **kafka,
            "group.id": "tidemark.erasures",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while (message := consumer.poll(_ANSWER_S)) is not None:
            error = message.error()
            if error is None:
                value = message.value()
                if value is not None:
                    found.append(Remembered(message.key() or b"", decode_erasure(value), message.timestamp()[1]))
            elif error.code() == KafkaError._PARTITION_EOF:
                return found
            elif error.fatal() or not error.retriable():
                raise KafkaException(error)
    finally:
        consumer.close()
    raise TimeoutError(f"topic {topic} could not be read within {_ANSWER_S:.0f} s: nobody knows who was erased")

"""The topic that a subscription reads: where it begins, what comes, and what is committed.

It knows Kafka and no delivery. Called by ``subscription.py``, all of it on one thread; rebalances are told from within
``read``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.engine.contact import Contact
from stream.operations.brokers import (
    ANSWER_WITHIN,
    bounds_of,
    connect_admin,
    ends_of,
    make_consumer,
    partitions_of,
    settled_ends,
)

Start = Literal["beginning", "now"]

_BATCH: Final = 500

_log = structlog.get_logger(__name__)


class NoPosition(ValueError):
    """The subscription has delivered nothing yet, or so long ago that Kafka has forgotten where it was."""


class AlertsLost(RuntimeError):
    """What the subscription would deliver next was deleted."""


class Rebalanced(Protocol):
    """Who is told of partitions that come and go."""

    def assigned(self, positions: Mapping[int, int]) -> None:
        """These are ours now, from these offsets on."""

    def revoked(self, partitions: set[int]) -> None:
        """These are another's when this returns: the last chance to commit."""

    def lost(self, partitions: set[int]) -> None:
        """These have been another's for a while."""


class Intake:
    """Of one process of a subscription.

    Args:
        topic: on the broker.
        group: of the subscription.
        told: of rebalances.
    """

    def __init__(self, configuration: Configuration, topic: str, group: str, told: Rebalanced) -> None:
        self._topic = topic
        self._told = told
        self._contact = Contact(client_properties(configuration.kafka), topic)
        self._admin = connect_admin(configuration.kafka)
        self._consumer = make_consumer(
            configuration.kafka,
            group,
            **{
                "session.timeout.ms": configuration.engine.session_timeout_ms,
                "heartbeat.interval.ms": max(configuration.engine.session_timeout_ms // 10, 100),
                "partition.assignment.strategy": "range",
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,
            },
        )
        self._held: list[TopicPartition] = []
        """What is ours, with the offsets at which it became so."""
        self._rebalances = 0
        self._paused = False

    def begin(self, start: Start | None, name: str) -> None:
        """Join the group, which has a position on every partition from now on.

        A position is committed before anything is read, so that a subscription that begins now and is killed before
        its first delivery does not begin at another now.

        Args:
            start: where to begin on partitions on which it never was; None: refuse those.

        Raises:
            NoPosition: there are such.
            MissingTopicError, AccessError: the topic cannot be read.
        """
        places = partitions_of(self._consumer, [self._topic])
        new = [place for place in self._committed(places) if place.offset < 0]
        if new and start is None:
            raise NoPosition(
                f"subscription {name} has no position on {self._topic}: say --from now or --from beginning (it is the "
                "first start, or the last one was longer ago than the brokers' offsets.retention.minutes)"
            )
        if new:
            ends = ends_of(self._admin, new, committed=True) if start == "now" else {}
            begin = [
                TopicPartition(
                    place.topic,
                    place.partition,
                    ends[place.topic, place.partition] if ends else bounds_of(self._consumer, place)[0],
                )
                for place in new
            ]
            try:
                self._consumer.commit(offsets=begin, asynchronous=False)
            except KafkaException:
                # Kafka takes it of nobody else while the group has members: then one of them has done it.
                if any(place.offset < 0 for place in self._committed(new)):
                    raise
        self._contact.heard()
        self._consumer.subscribe([self._topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose)

    def ends(self) -> dict[int, int]:
        """The ends of what is committed now, by partition."""
        ends = settled_ends(self._admin, partitions_of(self._consumer, [self._topic]))
        return {partition: end for (_, partition), end in ends.items()}

    def read(self, wait_s: float) -> list[Message]:
        """Records that have come, or word that a partition is at its end (``_PARTITION_EOF``).

        Args:
            wait_s: for the first of them.

        Raises:
            AlertsLost: a position lies outside the topic.
            ConsumerLost: only another process can go on.
            KafkaException: the topic cannot be read.
        """
        rebalances = self._rebalances
        first = self._consumer.poll(wait_s)
        if first is None:
            self._contact.look(self._consumer)
            return []
        self._contact.heard()
        read = [first, *self._consumer.consume(_BATCH, 0)]
        if self._rebalances != rebalances:
            # Some may have been read before partitions went and came back: begin where they are now.
            self._consumer.assign(self._held)
            return []
        return [message for message in read if self._is_news(message)]

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Everything before these offsets is done with.

        That the group has moved on meanwhile is no error: what it has taken away, it delivers again."""
        places = [TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()]
        if not places:
            return
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            _log.warning("offsets not committed", error=str(error))

    def hold(self, full: bool) -> None:
        """Read nothing more while there is no room for it."""
        if full == self._paused:
            return
        self._paused = full
        (self._consumer.pause if full else self._consumer.resume)(self._held)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _is_news(self, message: Message) -> bool:
        """A record, or the end of a partition, and no passing trouble."""
        error = message.error()
        if error is None or error.code() == KafkaError._PARTITION_EOF:
            return True
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise AlertsLost(
                f"{self._topic} has lost records that were not delivered yet ({error.str()}): lengthen its retention, "
                "and put the group where it should go on with kafka-consumer-groups.sh --reset-offsets"
            )
        if error.fatal() or not error.retriable():
            raise KafkaException(error)
        return False

    def _committed(self, places: list[TopicPartition]) -> list[TopicPartition]:
        found: list[TopicPartition] = self._consumer.committed(places, timeout=ANSWER_WITHIN)
        for place in found:
            if place.error is not None:
                raise KafkaException(place.error)
        return found

    def _assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._hold_now(self._committed(places) if places else [])
        consumer.assign(self._held)
        self._told.assigned({place.partition: place.offset for place in self._held})

    def _revoke(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._told.revoked({place.partition for place in places})
        self._hold_now([])
        consumer.unassign()

    def _lose(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._told.lost({place.partition for place in places})
        self._hold_now([])
        consumer.unassign()

    def _hold_now(self, places: list[TopicPartition]) -> None:
        self._rebalances += 1
        self._held = places
        self._paused = False

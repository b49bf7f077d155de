"""Takes the place of a role while a repair is written: a member of its group that holds every partition.

Whoever begins work meanwhile makes the group assign anew, and the broker refuses the transaction that was under way. So
state and questions of a partition are changed together, by nobody else at the same time, and whole or not at all.
Called by ``repair``.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.codec import encode
from stream.engine.cluster import FOLD_FACT
from stream.engine.group_offsets import GroupOffsets
from stream.engine.position import POSITION_KEY, Position, encode_position
from stream.operations.brokers import (
    ANSWER_WITHIN,
    FENCED,
    connect_admin,
    explained,
    make_consumer,
    make_producer,
    produce,
)
from stream.operations.repairs.plan import PartitionPlan
from stream.operations.status import INPUTS, members_of

TRANSACTIONAL_ID: Final = "tidemark.repair"
_POLL_S: Final = 0.2
_LOOKS_AT_MOST_MS: Final = 3_600_000
_JOIN_S: Final = 60.0
_COMMIT_S: Final = 50.0
"""All states of a partition may be on their way; within the client's time-out of a transaction, a minute."""


class RepairRefused(RuntimeError):
    """The live deployment is not at rest, or the replay is not one that can put it right."""


class Hold:
    """Holds the group of a role, as a context.

    Args:
        producer: of ``open_producer``.
        role: whose workers are stopped.
        wait_s: for workers that are just leaving; one that is killed counts as a member until its session is over.

    Raises:
        RepairRefused: workers of the role are there.
    """

    def __init__(self, live: Configuration, producer: Producer, role: str, partitions: int, wait_s: float) -> None:
        names = live.topics.topic_names()
        self._kafka = live.kafka
        self._role = role
        self._input = names.physical(INPUTS[role])
        self._requests = names.physical(topics.SCORE_REQUESTS)
        self._changelog = names.changelog(role)
        self._group = names.group(role)
        self._partitions = partitions
        self._held: set[int] = set()
        await_no_worker(live, role, wait_s)
        self._consumer: Consumer = make_consumer(
            live.kafka,
            self._group,
            **{
                "auto.offset.reset": "error",
                "enable.auto.commit": False,
                "session.timeout.ms": live.engine.session_timeout_ms,
                # What differs is looked for meanwhile, and that is as long as it is.
                "max.poll.interval.ms": _LOOKS_AT_MOST_MS,
                "partition.assignment.strategy": "range",
            },
        )
        self._producer = producer

    def __enter__(self) -> Self:
        try:
            self._consumer.subscribe([self._input], on_assign=self._assigned, on_revoke=self._revoked)
            give_up = time.monotonic() + _JOIN_S
            while len(self._held) < self._partitions:
                self._poll(_POLL_S)
                if time.monotonic() > give_up:
                    raise RepairRefused(
                        f"somebody else works in group {self._group}: stop the workers of role {self._role}"
                    )
        except BaseException:
            self._consumer.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def offsets(self) -> dict[int, TopicPartition]:
        """What the group has committed, by partition, with what the workers noted beside it."""
        return committed(self._kafka_properties, self._group, self._input, self._partitions)

    def write(self, plan: PartitionPlan) -> None:
        """Change one partition: states, where the fold stands, and the questions that put readers right.

        Raises:
            RepairRefused: a worker came meanwhile; nothing of this partition is changed.
            AccessError, KafkaUnreachableError: Kafka refuses.
        """
        self._poll(0)
        number = plan.partition
        place = self.offsets()[number]
        if place.offset != plan.position.offset:
            raise RepairRefused(f"partition {number} was folded on to {place.offset:,} meanwhile: run it again")
        try:
            self._producer.begin_transaction()
            for request in plan.requests:
                key = request.customer_id.encode()
                produce(self._producer, self._requests, value=encode(request), key=key, partition=number)
            for key, framed in plan.states.items():
                produce(self._producer, self._changelog, value=framed, key=key, partition=number)
            # The last record of every transaction on a changelog.
            value = encode_position(plan.position)
            produce(self._producer, self._changelog, value=value, key=POSITION_KEY, partition=number)
            self._producer.send_offsets_to_transaction(
                [_noted(place, plan.position)], self._consumer.consumer_group_metadata(), ANSWER_WITHIN
            )
            self._producer.commit_transaction(_COMMIT_S)
        except BaseException as error:
            with suppress(KafkaException):
                self._producer.abort_transaction(ANSWER_WITHIN)
            if isinstance(error, KafkaException):
                raise self._refused(error) from error
            raise

    @property
    def _kafka_properties(self) -> dict[str, object]:
        return client_properties(self._kafka)

    def _poll(self, seconds: float) -> None:
        message = self._consumer.poll(seconds)
        error = None if message is None else message.error()
        if error is not None and error.fatal():
            raise KafkaException(error)

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.assign(places)
        consumer.pause(places)
        self._held = {place.partition for place in places}

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._held = set()

    def _refused(self, error: KafkaException) -> Exception:
        code = error.args[0].code()
        if code in (KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS):
            return RepairRefused(
                f"a worker of role {self._role} began meanwhile: stop it and run this again; a partition is "
                "put right whole or not at all"
            )
        if code in FENCED:
            return RepairRefused("another repair took over: let it finish")
        return explained(error)


def open_producer(live: Configuration) -> Producer:
    """The producer of all repairs of a deployment.

    It fences one that is under way elsewhere, and ends what one that was killed has left open: until then nobody is
    told what the groups have committed.
    """
    producer = make_producer(
        live.kafka,
        **{
            "transactional.id": f"{live.topics.prefix}{TRANSACTIONAL_ID}",
            "linger.ms": 5,
            "compression.type": "lz4",
        },
    )
    producer.init_transactions(ANSWER_WITHIN)
    return producer


def _noted(place: TopicPartition, position: Position) -> TopicPartition:
    """The commit as it was, but for the version of the fold, which workers read in it before they begin."""
    facts = json.loads(place.metadata or "{}") | {FOLD_FACT: position.fold_version}
    return TopicPartition(place.topic, place.partition, place.offset, json.dumps(facts, separators=(",", ":")))


def await_no_worker(live: Configuration, role: str, wait_s: float) -> None:
    """Until the group of the role has no member.

    Raises:
        RepairRefused: it has some after ``wait_s``.
    """
    admin, group = connect_admin(live.kafka), live.topics.topic_names().group(role)
    give_up = time.monotonic() + wait_s
    while members := members_of(admin, group)[1]:
        if time.monotonic() > give_up:
            workers = "1 worker" if members == 1 else f"{members} workers"
            raise RepairRefused(f"{workers} of role {role}: stop them first; what comes in meanwhile waits in the log")
        time.sleep(_POLL_S)


def committed(kafka: dict[str, object], group: str, topic: str, partitions: int) -> dict[int, TopicPartition]:
    """What a group has committed, by partition; negative offsets where nothing was."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    found = GroupOffsets(kafka, group, stable=True).committed(places, ANSWER_WITHIN)
    return {place.partition: place for place in found}

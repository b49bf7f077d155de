"""How a deployment is doing: how far each role is behind, when it last committed, which model answers, what was
refused.

It asks Kafka alone: group offsets, the position records in the changelogs, and the newest records of two topics.
Nothing has to run for it, and it changes nothing. Called by `tidemark status`.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec
import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.codec import decode_score
from stream.contracts.dead_letters import read_verdict
from stream.contracts.scores import ModelStamp
from stream.contracts.settlements import Outcome
from stream.engine.group_offsets import GroupOffsets
from stream.engine.position import POSITION_KEY, decode_position
from stream.operations.brokers import (
    ANSWER_WITHIN,
    MissingTopicError,
    bounds_of,
    ends_of,
    headers_of,
    make_consumer,
    partitions_of,
)
from stream.operations.dead_letters.letters import Place, topic_id
from stream.operations.dead_letters.settled import read_settled
from stream.operations.ends import first_records, newest_records, records_from
from stream.operations.topics import STATEFUL_ROLES

INPUTS: Final = {"profiles": topics.EVENTS, "decisions": topics.SCORE_REQUESTS}
"""Logical name of what each role reads."""

DEAD_LETTERS_COUNTED: Final = 10_000
"""Newest dead letters of a partition whose reasons are counted; older ones are counted without."""

_GROUP: Final = "tidemark.status"


class PartitionStatus(msgspec.Struct, frozen=True):
    """One partition of a role's input. Times in epoch milliseconds."""

    partition: int
    committed: int | None
    """Offset of the next record to fold; None where the role never committed."""
    end: int
    """Offset behind the last record, committed or not."""
    lag_records: int
    lag_seconds: float
    """Since the oldest record that is not folded was appended; 0 where all are."""
    open_records: int
    """How many of them wait for an open transaction, their own or one before them."""
    open_seconds: float
    """Since the first record of the oldest open transaction was appended; 0 where none is open."""
    event_time: int | None
    """Partition time: the greatest event time folded."""
    last_commit: int | None
    paused: str = ""
    """Why the worker has paused it; empty while it has not. `tidemark resume` lets it go on."""


class RoleStatus(msgspec.Struct, frozen=True):
    """One role over all partitions."""

    role: str
    group: str
    state: str
    """As Kafka calls the group's state: stable, empty, dead …"""
    workers: int
    partitions: list[PartitionStatus]

    @property
    def lag_records(self) -> int:
        return sum(partition.lag_records for partition in self.partitions)

    @property
    def lag_seconds(self) -> float:
        return max((partition.lag_seconds for partition in self.partitions), default=0.0)


class ModelStatus(msgspec.Struct, frozen=True):
    """Who gave the newest answer."""

    model: ModelStamp
    fallback: bool
    answered_at: int
    """Epoch milliseconds."""


class Status(msgspec.Struct, frozen=True):
    """A deployment at one moment."""

    roles: list[RoleStatus]
    model: ModelStatus | None
    dead_letters: dict[str, int]
    """That are open, by code, most frequent first; ``older`` counts those whose code was not read."""


def status(configuration: Configuration, admin: AdminClient, now: int) -> Status:
    """Ask Kafka.

    Args:
        now: epoch milliseconds, from which lag in seconds is counted.
    """
    names = configuration.topics.topic_names()
    properties = {"enable.partition.eof": True, "fetch.wait.max.ms": 50}
    consumer = make_consumer(configuration.kafka, _GROUP, **properties)
    unstable = make_consumer(configuration.kafka, _GROUP, **properties, **{"isolation.level": "read_uncommitted"})
    try:
        roles = [_role(role, configuration, admin, consumer, unstable, now) for role in STATEFUL_ROLES]
        return Status(
            roles=roles,
            model=_model(consumer, names.physical(topics.SCORES)),
            dead_letters=_dead_letters(consumer, admin, names),
        )
    finally:
        unstable.close()
        consumer.close()


def _role(
    role: str, configuration: Configuration, admin: AdminClient, consumer: Consumer, unstable: Consumer, now: int
) -> RoleStatus:
    names = configuration.topics.topic_names()
    group, input_topic = names.group(role), names.physical(INPUTS[role])
    places = partitions_of(consumer, [input_topic])
    answered = commits_of(GroupOffsets(client_properties(configuration.kafka), group, stable=False), places)
    committed = {partition: commit.offset for partition, commit in answered.items()}
    ends = {partition: end for (_, partition), end in ends_of(admin, places, committed=False).items()}
    stable = {partition: end for (_, partition), end in ends_of(admin, places, committed=True).items()}
    behind = [
        TopicPartition(input_topic, partition, max(committed.get(partition) or 0, 0))
        for partition, end in stable.items()
        if (committed.get(partition) or 0) < end
    ]
    oldest = first_records(consumer, behind)
    opened = first_records(
        unstable, [TopicPartition(input_topic, number, end) for number, end in stable.items() if end < ends[number]]
    )
    positions = newest_records(consumer, names.changelog(role), lambda message: message.key() == POSITION_KEY)
    state, workers = members_of(admin, group)
    partitions = []
    for partition, end in sorted(ends.items()):
        first_open = opened.get(partition)
        next_record = oldest.get(partition) or first_open
        # What lies between the commit and the end may be markers of transactions alone, which nobody folds.
        start = stable[partition] if partition not in oldest else committed.get(partition) or 0
        position = positions.get(partition)
        partitions.append(
            PartitionStatus(
                partition=partition,
                committed=committed.get(partition),
                end=end,
                lag_records=0 if next_record is None else end - start,
                lag_seconds=0.0 if next_record is None else _seconds_since(next_record, now),
                open_records=0 if first_open is None else end - stable[partition],
                open_seconds=0.0 if first_open is None else _seconds_since(first_open, now),
                event_time=None if position is None else decode_position(position.value() or b"").time or None,
                last_commit=None if position is None else position.timestamp()[1],
                paused=_paused(answered[partition].metadata) if partition in answered else "",
            )
        )
    return RoleStatus(role, group, state, workers, partitions)


def _seconds_since(record: Message, now: int) -> float:
    return max(now - record.timestamp()[1], 0) / 1000


def _paused(metadata: str | None) -> str:
    """Why a worker has paused the partition, from what it wrote beside the offset; empty where it has not."""
    try:
        return str(orjson.loads(metadata or "{}").get("paused", ""))
    except (orjson.JSONDecodeError, AttributeError):
        return ""


def commits_of(offsets: GroupOffsets, places: list[TopicPartition]) -> dict[int, TopicPartition]:
    """What a group committed, by partition; partitions without a commit are left out."""
    return {place.partition: place for place in offsets.committed(places, ANSWER_WITHIN) if place.offset >= 0}


def members_of(admin: AdminClient, group: str) -> tuple[str, int]:
    """State of a group in Kafka's words, and how many members it has."""
    try:
        described = admin.describe_consumer_groups([group])[group].result(ANSWER_WITHIN)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return "absent", 0
        raise
    return described.state.name.lower(), len(described.members)


def _model(consumer: Consumer, scores: str) -> ModelStatus | None:
    newest = max(newest_records(consumer, scores).values(), key=lambda message: message.timestamp()[1], default=None)
    if newest is None:
        return None
    score = decode_score(newest.value() or b"")
    return ModelStatus(score.answer.model, score.answer.fallback, newest.timestamp()[1])


def _dead_letters(consumer: Consumer, admin: AdminClient, names: topics.TopicNames) -> dict[str, int]:
    topic = names.physical(topics.DEAD_LETTERS)
    places = partitions_of(consumer, [topic])
    try:
        settled = read_settled(consumer, admin, names.physical(topics.SETTLEMENTS), topic_id(admin, topic)).keys()
    except MissingTopicError:
        # Of topics that an earlier build has made. Then nobody can settle a letter either.
        settled = dict[Place, Outcome]().keys()
    codes: Counter[str] = Counter()
    older = 0
    for place in places:
        low, high = bounds_of(consumer, place)
        start = max(low, high - DEAD_LETTERS_COUNTED)
        older += start - low - sum(each.partition == place.partition and low <= each.offset < start for each in settled)
        codes.update(
            _code(message)
            for message in records_from(consumer, TopicPartition(topic, place.partition, start))
            if Place(place.partition, message.offset() or 0) not in settled
        )
    return dict(codes.most_common()) | ({"older": older} if older else {})


def _code(message: Message) -> str:
    try:
        return read_verdict(headers_of(message)).code
    except ValueError:
        return "not a dead letter"

"""Erases a customer: writes the event, waits until every role has forgotten, drops what else knows, and reads it back.

Killed at any moment and given again it goes on: an event that lies behind everything else of the customer is waited
for, and not written twice. The roles do the forgetting, whoever sent the event. Called by `tidemark erase`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.codec import encode
from stream.contracts.emission import Rejected
from stream.contracts.erasures import Role
from stream.contracts.events import Event
from stream.contracts.headers import ERASED_BY, ERASED_FOR
from stream.contracts.ids import content_id
from stream.contracts.partitioning import partition_for
from stream.engine.position import POSITION_KEY, decode_position
from stream.operations.brokers import (
    ANSWER_WITHIN,
    KafkaUnreachableError,
    bounds_of,
    connect_admin,
    make_consumer,
    make_producer,
    partitions_of,
)
from stream.operations.ends import newest_records
from stream.operations.erasing.files import forget_in_files
from stream.operations.erasing.found import Found, Progress
from stream.operations.erasing.naming import Naming
from stream.operations.erasing.report import ROLES, Report, in_replays, made_before, now_ms, over_at, survey
from stream.operations.erasures import erasures_of
from stream.operations.history.reading import committed_end, open_consumer, record_of, records
from stream.operations.replays.drop import drop
from stream.operations.replays.record import UnknownReplay, read
from stream.profiles.validation import read_event
from stream.workers import profiles
from stream.workers.erased import Remembered

_LOOK_S: Final = 0.25


class ErasureUnfinished(TimeoutError):
    """The event is written, and a role has not folded it yet. The same command goes on."""


class Asked(NamedTuple):
    """Who asks for an erasure, why, and for how long the command waits for the roles."""

    actor: str
    reason: str = ""
    wait_s: float = 60.0


def erase(configuration: Configuration, customer_id: str, asked: Asked, progress: Progress | None = None) -> Report:
    """Erase a customer, and read everything back.

    Raises:
        ErasureUnfinished: a role has not folded the event within ``asked.wait_s``.
        ReplayBusy: somebody works on a replay that may know the customer.
        MissingTopicError, TopicMismatch, KafkaUnreachableError, AccessError: Kafka cannot say, or take the event.
    """
    key = customer_id.encode()
    consumer = open_consumer(configuration.kafka)
    try:
        last = _last(configuration, consumer, key, progress)
    finally:
        consumer.close()
    if not last.is_erasure:
        _send(configuration, customer_id, last, asked)
        last = last._replace(offset=last.offset + 1)
    over = _await_roles(configuration, key, last.offset, asked.wait_s)
    dropped = _drop_replays(configuration, Naming(customer_id), over)
    dropped += map(str, forget_in_files(Path(configuration.data_dir), Naming(customer_id)))
    report = survey(configuration, customer_id, progress)
    report.dropped = dropped
    return report


class _Last(NamedTuple):
    """The customer's newest record among the events."""

    partition: int
    partitions: int
    offset: int
    """-1: the log has none."""
    is_erasure: bool


def _last(configuration: Configuration, consumer: Consumer, key: bytes, progress: Progress | None) -> _Last:
    topic = configuration.topics.topic_names().physical(topics.EVENTS)
    count = len(partitions_of(consumer, [topic]))
    number = partition_for(key, count)
    low, _ = bounds_of(consumer, TopicPartition(topic, number))
    end = committed_end(configuration.kafka, topic, number)
    told = None if progress is None else lambda done, of: progress(topic, done, of)
    last = _Last(number, count, -1, False)
    for message in records(consumer, topic, number, low, end, told):
        if message.key() != key:
            continue
        record = record_of(message)
        try:
            event = read_event(record.value, record.key, record.headers, record.append_time, configuration.profiles)
        except Rejected:
            is_erasure = False
        else:
            is_erasure = event.type == "erase"
        last = last._replace(offset=record.offset, is_erasure=is_erasure)
    return last


def _send(configuration: Configuration, customer_id: str, last: _Last, asked: Asked) -> None:
    """Write the event. Two commands at the same time write one with the same id, and the later one counts."""
    names = configuration.topics.topic_names()
    event = Event(
        event_id=f"erase-{content_id([customer_id, last.partition, last.offset])}",
        type="erase",
        time=_time(configuration, last.partition),
        customer_id=customer_id,
    )
    refused: list[object] = []
    producer = make_producer(configuration.kafka)
    producer.produce(
        names.physical(topics.EVENTS),
        encode(event),
        customer_id.encode(),
        last.partition,
        headers=[(ERASED_BY, asked.actor.encode()), (ERASED_FOR, asked.reason.encode())],
        on_delivery=lambda error, _message: refused.append(error) if error is not None else None,
    )
    if producer.flush(ANSWER_WITHIN) or refused:
        raise KafkaUnreachableError(
            f"Kafka at {configuration.kafka.bootstrap_servers} did not take the event: give the command again"
        )


def _time(configuration: Configuration, partition: int) -> int:
    """Event time of the erasure: that of the partition, which must not leap in a log of other days."""
    consumer = make_consumer(
        configuration.kafka, "tidemark.erase", **{"fetch.wait.max.ms": 20, "enable.partition.eof": True}
    )
    try:
        log = configuration.topics.topic_names().changelog(profiles.ROLE)
        positions = newest_records(consumer, log, lambda message: message.key() == POSITION_KEY)
    finally:
        consumer.close()
    newest = positions.get(partition)
    reached = 0 if newest is None else decode_position(newest.value() or b"").time
    return min(reached or now_ms(), now_ms())


def _await_roles(configuration: Configuration, key: bytes, offset: int, wait_s: float) -> int | None:
    """Return when every role has forgotten, and when that was."""
    give_up = time.monotonic() + wait_s
    while True:
        remembered: dict[Role, Remembered] = {}
        for role in ROLES:
            known = erasures_of(configuration, role).of(key)
            if known is not None and known.erasure.offset >= offset:
                remembered[role] = known
        if len(remembered) == len(ROLES):
            return over_at(remembered)
        if time.monotonic() > give_up:
            late = next(role for role in ROLES if role not in remembered)
            raise ErasureUnfinished(
                f"the event is written, and role {late} has not folded it within {wait_s:g} s: see `tidemark "
                f"status`, start `tidemark worker --role {late}` where none runs, and give the command again"
            )
        time.sleep(_LOOK_S)


def _drop_replays(configuration: Configuration, naming: Naming, over: int | None) -> list[str]:
    """Drop the replays that were made before the erasure was over, and know the customer or are under way."""
    admin = connect_admin(configuration.kafka)
    reader = Found(configuration.kafka, admin, naming, {})
    know = {held.replay_id for held in in_replays(configuration, admin, reader, over, None)}
    dropped = []
    for replay_id in made_before(configuration, admin, over):
        if replay_id in know or not _is_done(configuration, replay_id):
            drop(configuration, replay_id)
            dropped.append(f"replay {replay_id}")
    return dropped


def _is_done(configuration: Configuration, replay_id: str) -> bool:
    try:
        return bool(read(configuration, replay_id).done_at)
    except UnknownReplay:
        return False

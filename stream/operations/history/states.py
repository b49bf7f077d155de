"""What is known of a customer, now or as of an offset of the log, and of all customers of a deployment.

Now is what the changelogs say, as of their last commits; as of an offset is what folding the log up to it gives. It
changes nothing. Called by `tidemark state get` and `tidemark state export`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.partitioning import partition_for
from stream.contracts.times import DAY_MS, to_rfc3339
from stream.decisions.state import DecisionState
from stream.engine.position import HEADER_BYTES, due_of
from stream.operations.brokers import bounds_of, partitions_of
from stream.operations.erasures import erasures_of
from stream.operations.history.fields import NameOf, by_hash, told
from stream.operations.history.reading import (
    Progress,
    committed_end,
    live_states,
    open_consumer,
    record_of,
    records,
)
from stream.operations.history.refold import Refold
from stream.workers import decisions, profiles
from stream.workers.decisions import DecisionCodec
from stream.workers.process import VERSION
from stream.workers.profiles import ProfileCodec, ProfilesProcessor

_profiles = ProfileCodec()
_decisions = DecisionCodec()


class OffsetOutOfRange(ValueError):
    """The log does not have the offset that was asked for."""


class CustomerState(msgspec.Struct, omit_defaults=True):
    """What is known of a customer. Times are RFC 3339."""

    customer_id: str
    partition: int
    offset: int | None
    """Of the next event: those before it are folded. None: nothing was ever committed."""
    partition_time: str | None
    profile: dict[str, Any] | None
    """By field, those that are not at their defaults; None: nothing is known."""
    due: str | None = None
    """When the profile's timer is set for."""
    decisions: dict[str, Any] | None = None
    """Open episodes, cool-downs, the last list; None where there are none, or where the state is that of an offset."""
    log_begins: int = 0
    """Where it is not 0 the log has lost its beginning, and a state folded from it is that of the rest alone."""


def state_now(configuration: Configuration, customer_id: str, name_of: NameOf = by_hash) -> CustomerState:
    """What both roles last committed of a customer.

    Raises:
        StateUnreadable: the bytes cannot be read: the customer is quarantined.
        NewerState: they were written by a newer version.
        MissingTopicError, KafkaUnreachableError, AccessError: Kafka cannot say.
    """
    names = configuration.topics.topic_names()
    key = customer_id.encode()
    consumer = open_consumer(configuration.kafka)
    try:
        number = _partition_of(consumer, names.physical(topics.EVENTS), key)
        live = live_states(
            configuration.kafka, consumer, names.changelog(profiles.ROLE), number, wanted=lambda each: each == key
        )
        decided = live_states(
            configuration.kafka, consumer, names.changelog(decisions.ROLE), number, wanted=lambda each: each == key
        )
    finally:
        consumer.close()
    position, framed = live.position, live.states.get(key)
    found = _told(
        customer_id,
        number,
        None if position is None else position.offset,
        0 if position is None else position.time,
        framed,
        name_of,
    )
    remembered = decided.states.get(key)
    if remembered is not None:
        found.decisions = told_decisions(_decisions.decode(remembered[HEADER_BYTES:]))
    return found


def state_at(
    configuration: Configuration,
    customer_id: str,
    offset: int,
    name_of: NameOf = by_hash,
    progress: Progress | None = None,
) -> CustomerState:
    """The profile that the log gives up to and with the event at ``offset`` of the customer's partition.

    Raises:
        OffsetOutOfRange: the log does not reach so far, or begins later.
        MissingTopicError, KafkaUnreachableError, AccessError: Kafka cannot say.
    """
    names = configuration.topics.topic_names()
    events, key = names.physical(topics.EVENTS), customer_id.encode()
    consumer = open_consumer(configuration.kafka)
    try:
        count = len(partitions_of(consumer, [events]))
        number = partition_for(key, count)
        low, _ = bounds_of(consumer, TopicPartition(events, number))
        end = committed_end(configuration.kafka, events, number)
        if not low <= offset < end:
            raise OffsetOutOfRange(
                f"customer {customer_id} is on partition {number} of {events}, which has offsets {low:,} to "
                f"{end - 1:,}: {offset:,} is none of them"
                if low < end
                else f"customer {customer_id} is on partition {number} of {events}, which is empty"
            )
        processor = ProfilesProcessor(names, configuration.profiles, count, VERSION, erasures_of(configuration))
        refold = Refold(processor, number, configuration.engine.max_output_bytes, lambda each: each == key)
        for message in records(consumer, events, number, low, offset + 1, progress):
            refold.take(record_of(message))
    finally:
        consumer.close()
    found = _told(customer_id, number, offset + 1, refold.time, refold.state(key), name_of)
    found.log_begins = low
    return found


def exported(configuration: Configuration, progress: Progress | None = None) -> Iterator[CustomerState]:
    """Every profile that the workers last committed, partition by partition in order of the customers' ids.

    Raises:
        StateUnreadable, NewerState: see ``state_now``.
        MissingTopicError, KafkaUnreachableError, AccessError: Kafka cannot say.
    """
    names = configuration.topics.topic_names()
    changelog = names.changelog(profiles.ROLE)
    consumer = open_consumer(configuration.kafka)
    try:
        for place in partitions_of(consumer, [changelog]):
            live = live_states(configuration.kafka, consumer, changelog, place.partition, progress)
            if live.position is None:
                continue
            for key in sorted(live.states):
                yield _told(
                    key.decode(), place.partition, live.position.offset, live.position.time, live.states[key], by_hash
                )
    finally:
        consumer.close()


def told_decisions(state: DecisionState) -> dict[str, Any]:
    """What decisions remember of a customer, by name."""
    question = state.waiting
    return {
        "as_of": _time(state.as_of),
        "personalization": state.personalization,
        "marketing": state.marketing,
        "open": {
            kind: {
                "started_at": _time(episode.started_at),
                "expires_at": _time(episode.expires_at),
                "last_purchase_at": _time(episode.last_purchase_at),
                "alert": msgspec.to_builtins(episode.alert),
            }
            for kind, episode in sorted(state.episodes.items())
        },
        "cool_downs": {
            kind: {"started_at": _time(rest.started_at), "until": _time(rest.until)}
            for kind, rest in sorted(state.rests.items())
        },
        "raised_on": _time(state.raised_day * DAY_MS),
        "raised_that_day": state.raised_today,
        "list": {"items": state.shown, "revision": state.shown_revision, "valid_until": _time(state.shown_until)},
        "asked_again": None
        if question is None
        else {"request_id": question.request_id, "as_of": _time(question.as_of), "attempt": question.attempt},
        "retry_id": state.retry_id,
        "since_offset": state.since_offset,
    }


def _partition_of(consumer: Consumer, events: str, key: bytes) -> int:
    return partition_for(key, len(partitions_of(consumer, [events])))


def _told(
    customer_id: str, partition: int, offset: int | None, time: int, framed: bytes | None, name_of: NameOf
) -> CustomerState:
    profile = None if framed is None else _profiles.decode(framed[HEADER_BYTES:])
    return CustomerState(
        customer_id=customer_id,
        partition=partition,
        offset=offset,
        partition_time=_time(time),
        profile=None if profile is None else told(profile, name_of),
        due=None if framed is None else _time(due_of(framed)),
    )


def _time(milliseconds: int) -> str | None:
    return to_rfc3339(milliseconds) if milliseconds else None

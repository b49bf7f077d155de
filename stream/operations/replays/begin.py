"""Makes a replay: finds the part of the log, and creates the topics of its sandbox.

Nothing is read or folded here; that is ``run``'s. It creates topics and changes none that was there. Called by
`tidemark replay`.
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from stream.configuration.repository import open_registry
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.partitioning import partition_for
from stream.contracts.topics import REPLAY
from stream.decisions.policies import Policies
from stream.operations.brokers import (
    ANSWER_WITHIN,
    bounds_of,
    connect_admin,
    make_consumer,
    partitions_of,
    settled_ends,
)
from stream.operations.replays.record import NAME, Offsets, Replay, Source, ids, sandbox_of, topic_of, write
from stream.operations.switches import policy_changes, promoted
from stream.operations.topics import WantedTopic, create_topics, require_topics

_GROUP: Final = "tidemark.replays"

Moment = int | Offsets
"""Epoch milliseconds of the broker's append time, or an offset by partition."""


class Wanted(NamedTuple):
    """What is to be replayed, and how."""

    source: Source = "events"
    since: Moment | None = None
    """None: from the beginning of the log."""
    until: Moment | None = None
    """None: up to what is there now."""
    model: str = ""
    """Version of the model whose answers count; empty: whatever was answered."""
    policies: Policies | None = None
    customer: str = ""


class ReplayRefused(ValueError):
    """A replay cannot be made as it is wanted: a name that cannot be or is taken, an offset of a partition that is not
    there, or a part of the log that is empty."""


def begin(live: Configuration, replay_id: str, wanted: Wanted) -> Replay:
    """Make the replay and its topics.

    Raises:
        ReplayRefused: it cannot be made so.
        MissingTopicError: there is no live deployment.
        UnknownVersion, UnusableVersion: no such version of the model.
        KafkaUnreachableError, AccessError, TopicMismatchError: Kafka does not answer, or refuses.
    """
    if not NAME.fullmatch(replay_id):
        raise ReplayRefused(f"{replay_id!r} cannot name a replay: lower-case letters, digits and '-' only, 40 at most")
    admin = connect_admin(live.kafka)
    names = live.topics.topic_names()
    events, scores = names.physical(topics.EVENTS), names.physical(topics.SCORES)
    source = events if wanted.source == "events" else names.physical(topics.SCORE_REQUESTS)
    require_topics(admin, sorted({events, source, scores}))
    if replay_id in ids(live, admin):
        raise ReplayRefused(
            f"there is a replay {replay_id!r}: `tidemark replay resume {replay_id}` goes on with it, "
            f"`tidemark replay drop {replay_id}` takes it away"
        )
    registry = open_registry(live)
    version = registry.get(wanted.model or promoted(live) or registry.default().card.version).card.version
    consumer = make_consumer(live.kafka, _GROUP)
    try:
        places = partitions_of(consumer, [source])
        ends = {number: end for (_, number), end in settled_ends(admin, places).items()}
        first = {place.partition: bounds_of(consumer, place)[0] for place in places}
        until = _offsets(consumer, source, wanted.until, ends)
        until = {number: min(offset, ends[number]) for number, offset in until.items()}
        since = _offsets(consumer, events, wanted.since, dict.fromkeys(ends, 0))
        score_ends = {
            number: end for (_, number), end in settled_ends(admin, partitions_of(consumer, [scores])).items()
        }
    finally:
        consumer.close()
    if wanted.customer:
        own = partition_for(wanted.customer.encode(), len(until))
        until = {number: end if number == own else 0 for number, end in until.items()}
    replay = Replay(
        id=replay_id,
        created_at=int(time.time() * 1000),
        source=wanted.source,
        since=since,
        until=until,
        scores=score_ends,
        model=version,
        recorded=not wanted.model,
        policies=wanted.policies,
        changes=policy_changes(live) if wanted.policies is None else [],
        first=first,
        customer=wanted.customer,
    )
    if not replay.records:
        raise ReplayRefused(f"there is nothing to replay: topic {source} holds no record before that end")
    record = WantedTopic(topic_of(live, replay_id), REPLAY, 1, live.topics.replication)
    create_topics(admin, sandbox_of(live, replay).topics, [record])
    write(live, replay)
    return replay


def _offsets(consumer: Consumer, topic: str, moment: Moment | None, otherwise: Offsets) -> Offsets:
    """The offset of each partition at a moment; ``otherwise`` where the moment says nothing of it."""
    if moment is None:
        return otherwise
    if isinstance(moment, dict):
        unknown = sorted(moment.keys() - otherwise.keys())
        if unknown:
            raise ReplayRefused(f"topic {topic} has no partition {unknown[0]}: it has {len(otherwise)}, counted from 0")
        return otherwise | moment
    asked = [TopicPartition(topic, number, moment) for number in otherwise]
    found = consumer.offsets_for_times(asked, timeout=ANSWER_WITHIN)
    # Negative where nothing was appended since.
    return {
        place.partition: place.offset if place.offset >= 0 else bounds_of(consumer, _whole(place))[1] for place in found
    }


def _whole(place: TopicPartition) -> TopicPartition:
    return TopicPartition(place.topic, place.partition)

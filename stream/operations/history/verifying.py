"""Folds the log of events afresh and compares what comes out with the live state, customer by customer and field by
field.

A partition is compared as of its last commit: the changelog says which states there were, and up to which offset. It
changes nothing and needs no worker. Called by `tidemark state verify`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, TopicPartition

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.decisions.budget import partition_share
from stream.engine.cluster import refuse_other_fold
from stream.engine.position import HEADER_BYTES, due_of
from stream.engine.processor import StateUnreadable
from stream.operations.brokers import bounds_of, partitions_of
from stream.operations.erasures import erasures_of
from stream.operations.history.fields import Difference, differences
from stream.operations.history.reading import LiveStates, live_states, open_consumer, record_of, records
from stream.operations.history.refold import Refold
from stream.profiles.profile import Profile
from stream.workers.process import VERSION
from stream.workers.profiles import ProfileCodec, ProfilesProcessor

SHOWN: Final = 20
"""Customers whose differences are kept; the others are counted."""

_EVENT_COUNTS: Final = (
    "first_time",
    "browses",
    "cart_changes",
    "purchases",
    "returns",
    "reviews",
    "messages_sent",
    "messages_opened",
    "messages_clicked",
)
"""Alike on both sides unless records of the customer are gone."""

_codec: Final = ProfileCodec()

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much."""


class NoSuchPartition(ValueError):
    """The events topic has fewer partitions."""


class Mismatch(NamedTuple):
    """A customer whose live state is not what the log gives."""

    customer_id: str
    partition: int
    what: str
    """``differs``, ``missing`` (the log gives a state and there is none), ``unknown`` (there is one, and the log gives
    none) or ``unreadable``."""
    differences: list[Difference]


class PartitionVerified(msgspec.Struct):
    """One partition, compared as of one commit. Times are epoch milliseconds."""

    partition: int
    offset: int | None
    """Of the next event, as of the commit; None: nothing was ever committed, and nothing is compared."""
    log_begins: int
    """Offset of the oldest event that the log still has."""
    events: int = 0
    """Folded or looked at."""
    same: int = 0
    wrong: int = 0
    incomplete: int = 0
    """Customers of whom the log has lost older events to retention: they cannot be compared."""
    live_time: int = 0
    fresh_time: int = 0
    """Partition time on both sides; alike unless the log has lost its beginning."""


class Verified(msgspec.Struct):
    """What `tidemark state verify` found."""

    partitions: list[PartitionVerified]
    mismatches: list[Mismatch]
    """The first ``SHOWN`` of each partition."""
    sample: int | None
    seed: str

    @property
    def wrong(self) -> int:
        return sum(partition.wrong for partition in self.partitions)

    @property
    def passed(self) -> bool:
        """Whether nothing was found to be wrong."""
        return not self.wrong and not any(_lost_time(partition) for partition in self.partitions)


def verify(
    configuration: Configuration,
    *,
    partitions: list[int] | None = None,
    sample: int | None = None,
    seed: str = "",
    processor: ProfilesProcessor | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Compare the live profiles with the log.

    Args:
        partitions: numbers of those to look at; None: all.
        sample: so many customers at least, drawn by a hash with ``seed``; None: everybody. All events are read either
            way, since they move time.
        processor: folds instead of the one that workers have.

    Raises:
        FoldChanged: the live state was made by another version of the fold.
        NoSuchPartition: one of ``partitions`` is none.
        MissingTopicError, KafkaUnreachableError, AccessError: Kafka cannot say.
    """
    names = configuration.topics.topic_names()
    events = names.physical(topics.EVENTS)
    consumer = open_consumer(configuration.kafka)
    try:
        count = len(partitions_of(consumer, [events]))
        erasures = erasures_of(configuration)
        fold = processor or ProfilesProcessor(names, configuration.profiles, count, VERSION, erasures)
        chosen = list(range(count)) if partitions is None else partitions
        if max(chosen) >= count:
            raise NoSuchPartition(f"{events} has partitions 0 to {count - 1}: {max(chosen)} is none of them")
        found = Verified([], [], sample, seed)
        for place, number in enumerate(chosen):
            share = None if sample is None else partition_share(sample, place, len(chosen))
            verified, wrong = _partition(configuration, consumer, fold, number, share, seed, progress)
            found.partitions.append(verified)
            found.mismatches += wrong
        return found
    finally:
        consumer.close()


def _partition(
    configuration: Configuration,
    consumer: Consumer,
    processor: ProfilesProcessor,
    number: int,
    sample: int | None,
    seed: str,
    progress: Progress | None,
) -> tuple[PartitionVerified, list[Mismatch]]:
    def told(what: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, of: progress(f"{what} {number}", done, of)

    live = live_states(configuration.kafka, consumer, processor.changelog_topic, number, told("changelog of partition"))
    low, _ = bounds_of(consumer, TopicPartition(processor.input_topic, number))
    position = live.position
    verified = PartitionVerified(number, None if position is None else position.offset, low)
    if position is None:
        return verified, []
    refuse_other_fold(processor, number, position.fold_version)
    wanted = None if sample is None else _drawn(live, sample, seed)
    refold = Refold(processor, number, configuration.engine.max_output_bytes, wanted)
    for message in records(consumer, processor.input_topic, number, low, position.offset, told("events of partition")):
        refold.take(record_of(message))
        verified.events += 1
    verified.live_time, verified.fresh_time = position.time, refold.time
    return verified, _compared(verified, live, dict(refold.states()), wanted)


def _compared(
    verified: PartitionVerified,
    live: LiveStates,
    fresh: dict[bytes, bytes],
    wanted: Callable[[bytes], bool] | None,
) -> list[Mismatch]:
    """Count ``verified`` up, and hand out the first mismatches."""
    shown: list[Mismatch] = []
    for key in sorted(live.states.keys() | fresh.keys()):
        if wanted is not None and not wanted(key):
            continue
        ours, theirs = live.states.get(key), fresh.get(key)
        if ours == theirs:
            verified.same += 1
            continue
        mismatch = _held_against(key, verified.partition, ours, theirs)
        if mismatch is None:
            verified.same += 1
        elif verified.log_begins and _is_incomplete(ours, theirs):
            verified.incomplete += 1
        else:
            verified.wrong += 1
            if len(shown) < SHOWN:
                shown.append(mismatch)
    return shown


def _held_against(key: bytes, partition: int, ours: bytes | None, theirs: bytes | None) -> Mismatch | None:
    """What is wrong with a customer whose bytes are not the same; None: they say the same all the same, because a newer
    build has added fields."""
    customer = key.decode(errors="replace")
    if ours is None or theirs is None:
        return Mismatch(customer, partition, "missing" if ours is None else "unknown", [])
    try:
        live, fresh = _codec.decode(ours[HEADER_BYTES:]), _codec.decode(theirs[HEADER_BYTES:])
    except StateUnreadable as error:
        return Mismatch(customer, partition, "unreadable", [Difference("state", str(error), None)])
    found = differences(live, fresh)
    if due_of(ours) != due_of(theirs):
        found.append(Difference("timer", due_of(ours), due_of(theirs)))
    return Mismatch(customer, partition, "differs", found) if found else None


def _is_incomplete(ours: bytes | None, theirs: bytes | None) -> bool:
    """Whether records are gone that the live state was made from: it has counted what the fold did not see."""
    if ours is None:
        return False
    live = _counts(ours)
    return live is not None and (theirs is None or live != _counts(theirs))


def _counts(framed: bytes) -> tuple[int, ...] | None:
    try:
        profile: Profile = _codec.decode(framed[HEADER_BYTES:])
    except StateUnreadable:
        return None
    return tuple(getattr(profile, field) for field in _EVENT_COUNTS)


def _lost_time(verified: PartitionVerified) -> bool:
    return not verified.log_begins and verified.live_time != verified.fresh_time


def _drawn(live: LiveStates, sample: int, seed: str) -> Callable[[bytes], bool]:
    """Whose hash is among the ``sample`` smallest of the live customers; a customer that the log alone knows is drawn
    by the same bound, so that a lost state is found too."""
    hashes = sorted(_hash(key, seed) for key in live.states)
    if len(hashes) <= sample:
        return lambda key: True
    bound = hashes[sample - 1] if sample else b""
    return lambda key: _hash(key, seed) <= bound


def _hash(key: bytes, seed: str) -> bytes:
    return hashlib.blake2b(key, digest_size=8, key=seed.encode()[:64]).digest()

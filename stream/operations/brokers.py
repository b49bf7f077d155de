"""Connects operations to Kafka, and says so plainly when nobody answers.

It makes clients from the configuration and knows nothing of what is done with them. Called by every operation that
talks to Kafka.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from stream.configuration.clients import client_properties, consumer_properties, producer_properties
from stream.configuration.settings import KafkaSettings
from stream.contracts.emission import Headers
from stream.engine.clients import error_of

ANSWER_WITHIN: Final = 10.0
"""Seconds until a broker that does not answer counts as unreachable."""

RETRY_SECONDS: Final = 0.05
SETTLE_SECONDS: Final = 1.0

_LOOK_SECONDS: Final = 1.0
"""A refusal is known at once, but only looked at between two attempts to get an answer."""

_NOT_YET: Final = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    # What the client says of a partition whose leader it could not learn in time.
    KafkaError._NOENT,
)

_CREDENTIALS: Final = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED)
_PERMISSIONS: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "consumer group",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "transactional id",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "cluster",
}
_SETTINGS: Final = (KafkaError._INVALID_ARG, KafkaError._CONFLICT)
FENCED: Final = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
"""Codes that tell a producer that another one with its transactional id has taken over."""
_SILENCE: Final = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT)


class KafkaUnreachableError(ConnectionError):
    """No broker answered."""


class MissingTopicError(LookupError):
    """A topic that must be there is not."""


class AccessError(RuntimeError):
    """Kafka answers, but not to what the configuration says: credentials, TLS, permissions, or a property of
    librdkafka."""


def connect_admin(kafka: KafkaSettings) -> AdminClient:
    """An AdminClient of a cluster that answers.

    Raises:
        KafkaUnreachableError: nobody answered within ten seconds.
        AccessError: somebody did, and refused.
    """
    heard: list[KafkaError] = []
    try:
        properties: dict[str, Any] = {**client_properties(kafka), "error_cb": heard.append}
        admin = AdminClient(properties)
    except KafkaException as error:
        raise explained(error) from error
    give_up = time.monotonic() + ANSWER_WITHIN
    while True:
        try:
            admin.list_topics(timeout=min(_LOOK_SECONDS, ANSWER_WITHIN))
        except KafkaException as error:
            admin.poll(0)
            for complaint in heard:
                if (refused := _refusal(complaint)) is not None:
                    raise refused from error
            if time.monotonic() > give_up:
                raise KafkaUnreachableError(
                    f"no Kafka answers at {kafka.bootstrap_servers}{_why(heard)}: "
                    "start one with `tidemark up`, or set kafka.bootstrap_servers"
                ) from error
        else:
            return admin


def explained(exception: KafkaException, what: str = "") -> Exception:
    """The error in one sentence with what to do, for one that no operation has a better sentence for.

    Args:
        what: the topic, group or transactional id that it is about, where the caller knows.
    """
    error = error_of(exception)
    refused = _refusal(error, what)
    if refused is not None:
        return refused
    if error.code() in _SILENCE:
        return KafkaUnreachableError(f"Kafka does not answer ({error.str()}): run it again when it does")
    return KafkaUnreachableError(f"Kafka could not do it ({error.name()}: {error.str()})")


def _refusal(error: KafkaError, what: str = "") -> AccessError | None:
    """What an error says against the configuration; None where it says nothing against it."""
    code, text = error.code(), error.str()
    if code in _CREDENTIALS:
        return AccessError(
            f"Kafka refuses the credentials ({_last_words(text)}): check sasl.mechanism, sasl.username and "
            "sasl.password of kafka.client"
        )
    if code == KafkaError._SSL:
        return AccessError(
            f"no TLS connection to Kafka ({_last_words(text)}): check the ssl.* properties of kafka.client"
        )
    if code in _PERMISSIONS:
        kind = _PERMISSIONS[code]
        named = f"{kind} {what}" if what else f"a {kind}"
        return AccessError(
            f"Kafka does not allow this user what Tidemark needs of {named} ({text.rstrip('.')}): have whoever "
            "administers Kafka allow it, or set another user in kafka.client"
        )
    if code in _SETTINGS:
        return AccessError(f"kafka.client, kafka.consumer or kafka.producer: {text}")
    return None


def _why(heard: list[KafkaError]) -> str:
    """What a person can see to when nobody answers: a name that nobody knows, or two sides that speak differently."""
    if any(error.code() == KafkaError._RESOLVE for error in heard):
        return " (the name of the host is not known here)"
    down = any(error.code() == KafkaError._ALL_BROKERS_DOWN for error in heard)
    if down and not any("in state CONNECT" in error.str() for error in heard):
        return " (somebody takes connections and ends them: does security.protocol of kafka.client fit?)"
    return ""


def _last_words(text: str) -> str:
    """What librdkafka says after the broker's address and before how long it took."""
    return re.sub(r"\s*\(after \d+ms in state \w+\)", "", text).rpartition(": ")[2].rstrip(".")


def make_consumer(kafka: KafkaSettings, group: str, **properties: Any) -> Consumer:
    """A consumer of committed records that starts where nothing was committed at the beginning."""
    own = {"group.id": group, "auto.offset.reset": "earliest"}
    return Consumer({**own, **consumer_properties(kafka), **properties})


def make_producer(kafka: KafkaSettings, **properties: Any) -> Producer:
    """A producer that partitions by murmur2."""
    return Producer({**producer_properties(kafka), **properties})


def produce(producer: Producer, topic: str, **record: Any) -> None:
    """Hand a record to the client; while its queue is full, wait until the broker has taken some.

    Raises:
        KafkaException: the client refuses it; with the reason where a transactional producer has failed for good.
    """
    while True:
        try:
            producer.produce(topic, **record)
            return
        except BufferError:
            producer.poll(RETRY_SECONDS)
        except KafkaException as error:
            if error_of(error).code() == KafkaError._FATAL:
                _raise_reason(producer)
            raise


def _raise_reason(producer: Producer) -> None:
    """Raise what a producer has failed of for good, if it is a transactional one: the client names it only to calls
    about the transaction, which it refuses at once."""
    try:
        producer.abort_transaction(ANSWER_WITHIN)
    except KafkaException as reason:
        if error_of(reason).fatal():
            raise


def headers_of(message: Message) -> Headers:
    """Headers of a record in order; one without a value has an empty one."""
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return tuple((name, value or b"") for name, value in headers)


def partitions_of(consumer: Consumer, topics: Iterable[str]) -> list[TopicPartition]:
    """Every partition of the topics, in order.

    Raises:
        MissingTopicError: one of them does not exist.
        AccessError: this user may not even know whether one exists.
    """
    found: list[TopicPartition] = []
    for topic in topics:
        metadata = consumer.list_topics(topic, timeout=ANSWER_WITHIN).topics[topic]
        if metadata.error is not None:
            if (refused := _refusal(metadata.error, topic)) is not None:
                raise refused
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


def ends_of(admin: AdminClient, places: Iterable[TopicPartition], *, committed: bool) -> dict[tuple[str, int], int]:
    """Offset behind the last record of each partition, by topic and partition.

    Args:
        committed: the end for readers of committed records, which is the first record of an open transaction where
            there is one.
    """
    level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
    left = [TopicPartition(place.topic, place.partition) for place in places]
    ends: dict[tuple[str, int], int] = {}
    give_up = time.monotonic() + ANSWER_WITHIN
    while left:
        latest = {place: OffsetSpec.latest() for place in left}  # type: ignore[no-untyped-call]
        asked = admin.list_offsets(latest, isolation_level=level)
        for place, future in asked.items():
            try:
                ends[place.topic, place.partition] = future.result(ANSWER_WITHIN).offset
            except KafkaException as error:
                if error.args[0].code() not in _NOT_YET or time.monotonic() > give_up:
                    raise
        left = [place for place in left if (place.topic, place.partition) not in ends]
        if left:
            time.sleep(RETRY_SECONDS)
    return ends


def settled_ends(admin: AdminClient, places: list[TopicPartition]) -> dict[tuple[str, int], int]:
    """The ends of what is committed now, by topic and partition.

    A commit returns some milliseconds before its markers lie in all partitions, and until then nobody gets its records.
    So this waits for the transactions that are open now, a second at most: one may be held open for longer.
    """
    ends = ends_of(admin, places, committed=False)
    give_up = time.monotonic() + SETTLE_SECONDS
    while True:
        stable = ends_of(admin, places, committed=True)
        if all(stable[place] >= end for place, end in ends.items()) or time.monotonic() > give_up:
            return {place: min(stable[place], end) for place, end in ends.items()}
        time.sleep(RETRY_SECONDS)


def read_to_end(consumer: Consumer, admin: AdminClient, topics: Iterable[str]) -> Iterator[Message]:
    """Every committed record that the topics hold now, partition by partition in no particular order.

    The ends are asked for first, so records that are written meanwhile do not keep it going.
    """
    left: dict[tuple[str, int], int] = {}
    starts: list[TopicPartition] = []
    places = partitions_of(consumer, topics)
    ends = settled_ends(admin, places)
    for place in places:
        low, _ = bounds_of(consumer, place)
        if low < (end := ends[place.topic, place.partition]):
            starts.append(TopicPartition(place.topic, place.partition, low))
            left[place.topic, place.partition] = end
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

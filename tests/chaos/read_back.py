"""Reads what was committed, to the end, as a careful consumer would. Shares no code with the engine."""

import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.testing.waiting import eventually

Headers = tuple[tuple[str, bytes | None], ...]

_BATCH: Final = 10_000
_TIMEOUT_S: Final = 30.0
_ASK_S: Final = 5.0
_IN_SYNC_S: Final = 120.0
_NEWEST: Final = 5_000
_FRAME: Final = struct.Struct(">q")


class Record(NamedTuple):
    """A record as it lies in the log. ``timestamp`` in epoch milliseconds."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int


class Committed(NamedTuple):
    """The last position record of a partition's changelog."""

    offset: int
    time: int
    fold_version: int
    shared: bytes = b""
    behind: int | None = None


class Changelog(NamedTuple):
    """What a changelog says in the end: the last value of each key, by partition."""

    states: dict[int, dict[bytes, bytes]]
    dues: dict[int, dict[bytes, int]]
    """Due time of each state in epoch milliseconds, with the mark of those that wait for a signal."""
    positions: dict[int, Committed]


def read_topic(
    bootstrap_servers: str, topic: str, *, aborted_too: bool = False, newest: int | None = None
) -> list[list[Record]]:
    """Every committed record of a topic, by partition, in order.

    Args:
        aborted_too: what was aborted as well.
        newest: only from so many offsets before the end.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "chaos.read-back",
            "isolation.level": "read_uncommitted" if aborted_too else "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 20,
        }
    )
    try:
        partitions = len(consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions)
        # The end of what is committed; a read-committed reader stops before a transaction that is open.
        bounds = [consumer.get_watermark_offsets(TopicPartition(topic, p), _TIMEOUT_S) for p in range(partitions)]
        ends = [end for _, end in bounds]
        starts = [start if newest is None else max(start, end - newest) for start, end in bounds]
        consumer.assign([TopicPartition(topic, p, start) for p, start in enumerate(starts)])
        records: list[list[Record]] = [[] for _ in range(partitions)]
        behind = {p for p in range(partitions) if ends[p] > 0}
        while behind:
            messages = consumer.consume(_BATCH, 0.2)
            for message in messages:
                error, partition, offset = message.error(), message.partition() or 0, message.offset() or 0
                if error is None:
                    headers: Any = message.headers() or ()
                    timestamp = message.timestamp()[1]
                    found = Record(partition, offset, message.key(), message.value(), tuple(headers), timestamp)
                    records[partition].append(found)
                elif error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                elif offset >= ends[partition]:
                    behind.discard(partition)
        return records
    finally:
        consumer.close()


def read_changelog(bootstrap_servers: str, topic: str) -> Changelog:
    """The last value of each key. Values have the due time in eight bytes before the state."""
    partitions = read_topic(bootstrap_servers, topic)
    changelog = Changelog({}, {}, {})
    for number, records in enumerate(partitions):
        states, dues = changelog.states.setdefault(number, {}), changelog.dues.setdefault(number, {})
        for record in records:
            if record.key == b"":
                changelog.positions[number] = Committed(*msgspec.msgpack.decode(record.value or b""))
            elif record.value is None:
                states.pop(record.key or b"", None)
                dues.pop(record.key or b"", None)
            else:
                dues[record.key or b""] = _FRAME.unpack_from(record.value)[0]
                states[record.key or b""] = record.value[_FRAME.size :]
    return changelog


def group_reader(bootstrap_servers: str, group: str) -> Consumer:
    """Asks what the group has committed; it never joins. Not an AdminClient: librdkafka was seen to end the process
    where brokers die under its requests."""
    settings = {"bootstrap.servers": bootstrap_servers, "group.id": group, "enable.auto.commit": False, "log_level": 0}
    return Consumer(settings)


def committed_offsets(reader: Consumer, topic: str, partitions: int, timeout: float = _TIMEOUT_S) -> list[int]:
    """The group's offset on each partition; 0 where it has none."""
    wanted = [TopicPartition(topic, number) for number in range(partitions)]
    return [max(found.offset, 0) for found in reader.committed(wanted, timeout)]


def in_sync(bootstrap_servers: str) -> None:
    """Wait until every partition has a leader and all its copies are in step. Raises ``AssertionError``: they do not
    come."""

    def look() -> bool:
        try:
            known = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0}).list_topics(timeout=_ASK_S)
        except KafkaException:
            return False
        partitions = [found for topic in known.topics.values() for found in topic.partitions.values()]
        return all(found.leader >= 0 and len(found.isrs) == len(found.replicas) for found in partitions)

    assert eventually(look, timeout=_IN_SYNC_S), "copies of partitions are not in step"


def last_records(bootstrap_servers: str, topic: str) -> list[int]:
    """Offset behind the last committed record that has a key, by partition, as far as the newest records tell."""
    partitions = read_topic(bootstrap_servers, topic, newest=_NEWEST)
    return [max((r.offset + 1 for r in records if r.key is not None), default=0) for records in partitions]


def flat(partitions: list[list[Record]]) -> Iterator[Record]:
    """The records of all partitions, one after the other."""
    for records in partitions:
        yield from records

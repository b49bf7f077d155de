"""One worker of the profiles role, and a log for it that holds whatever a test sends."""

import json
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from stream.configuration.clients import client_properties, producer_properties
from stream.configuration.load import load
from stream.contracts import topics
from stream.contracts.dead_letters import Verdict, read_verdict
from stream.contracts.ids import event_id_hash
from stream.contracts.partitioning import partition_for
from stream.contracts.times import to_rfc3339
from stream.engine.group_offsets import GroupOffsets
from stream.engine.position import HEADER_BYTES, POSITION_KEY, Position, decode_position, encode_position, frame
from stream.engine.processor import Context, Parsed
from stream.engine.stores.memory import open_memory_store
from stream.engine.worker import Worker
from stream.operations.brokers import connect_admin
from stream.operations.topics import create_topics
from stream.profiles import codec
from stream.profiles.profile import Profile
from stream.testing.waiting import eventually
from stream.workers.process import VERSION, dead_letter_maker
from stream.workers.profiles import Folding, ProfilesProcessor

PARTITIONS = 2
CORRUPT = b"\x01 no profile"
OUTPUT_LIMIT = 200_000

Json = dict[str, Any]


def milliseconds(ago_s: float = 60.0) -> int:
    return int((time.time() - ago_s) * 1000)


def event(customer: str, name: str, **fields: Any) -> Json:
    """A good purchase; ``fields`` replace its own, and None takes one away."""
    made: Json = {
        "event_id": f"{customer}-{name}",
        "type": "purchase",
        "time": to_rfc3339(milliseconds()),
        "customer_id": customer,
        "transaction_id": f"{customer}-{name}-order",
        "items": [{"item_id": "85123A", "price": 2.55, "quantity": 6}],
    }
    return {field: value for field, value in (made | fields).items() if value is not None}


class Sent(NamedTuple):
    """A record as it was sent."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int = -1


class Place(NamedTuple):
    partition: int
    offset: int


class Letter(NamedTuple):
    """A dead letter as it was found."""

    key: bytes | None
    value: bytes | None
    verdict: Verdict


class Planted(ProfilesProcessor):
    """Fails where a session says so, after it has changed everything."""

    def fold(
        self, state: Profile | None, parsed: Parsed[Folding], answer: Any, context: Context[Folding]
    ) -> Profile | None:
        profile = super().fold(state, parsed, answer, context)
        match parsed.payload.event.session_id:
            case "planted failure":
                raise ZeroDivisionError("planted")
            case "planted output":
                context.emit(self._requests_topic, parsed.key, bytes(OUTPUT_LIMIT))
        return profile


class Shop:
    """A worker in this process.

    Args:
        prefix: of the topics.
    """

    def __init__(self, bootstrap_servers: str, prefix: str) -> None:
        self.environ = {
            "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
            "TIDEMARK__TOPICS__PREFIX": prefix,
            "TIDEMARK__TOPICS__PARTITIONS": str(PARTITIONS),
            "TIDEMARK__PROFILES__ALLOWED_LATENESS_MS": str(72 * 3_600_000),
        }
        self.configuration = load(None, self.environ).configuration
        self.names = self.configuration.topics.topic_names()
        self.events = self.names.physical(topics.EVENTS)
        create_topics(connect_admin(self.configuration.kafka), self.configuration.topics)
        self.kafka = client_properties(self.configuration.kafka)
        self._producer = Producer(producer_properties(self.configuration.kafka) | {"message.max.bytes": 4_000_000})
        self.registry = CollectorRegistry()
        self.processor = Planted(self.names, self.configuration.profiles, PARTITIONS, VERSION)
        settings = msgspec.structs.replace(
            self.configuration.engine,
            commit_interval_ms=50,
            dead_letter_share=1.0,
            quarantine_share=1.0,
            max_output_bytes=OUTPUT_LIMIT,
            tick_interval_ms=600_000,
        )
        self.worker = Worker(
            self.processor,
            self.kafka,
            settings,
            "shop",
            open_memory_store,
            dead_letter_maker(self.processor.dead_letter_topic),
            self.registry,
        )
        self.group = self.worker.group
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.worker.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:
            self.error = error

    def corrupt(self, customers: Sequence[str]) -> None:
        """Leave a state that nobody can read in the changelog, where an older worker would have left a good one."""
        changelog = self.names.changelog("profiles")
        for customer in customers:
            key = customer.encode()
            self._producer.produce(changelog, frame(0, False, CORRUPT), key, partition_for(key, PARTITIONS))
        offsets = []
        for number in range(PARTITIONS):
            position = encode_position(Position(0, 0, self.processor.fold_version))
            self._producer.produce(changelog, position, POSITION_KEY, number)
            offsets.append(TopicPartition(self.events, number, 0))
        assert self._producer.flush(10) == 0
        admin = AdminClient(self.kafka)
        admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(self.group, offsets)])[self.group].result(10)

    def send(self, *records: Sent) -> list[Place]:
        """Write records, in order, and say where they lie."""
        places: list[Place | None] = [None] * len(records)
        for index, (key, value, headers, partition) in enumerate(records):

            def delivered(error: KafkaError | None, message: Any, index: int = index) -> None:
                assert error is None, error
                places[index] = Place(message.partition(), message.offset())

            self._producer.produce(self.events, value, key, partition, headers=list(headers), on_delivery=delivered)
        assert self._producer.flush(20) == 0
        return [place for place in places if place is not None]

    def folded(self, ends: dict[int, int]) -> None:
        """Wait until everything before these offsets is committed."""
        offsets = GroupOffsets(self.kafka, self.group, stable=False)

        def done() -> bool:
            if self.error is not None:
                raise self.error
            wanted = [TopicPartition(self.events, number) for number in ends]
            return all(part.offset >= ends[part.partition] for part in offsets.committed(wanted, 10))

        assert eventually(done, timeout=30)

    def read(self, topic: str) -> list[Any]:
        """Every committed record of a topic."""
        consumer = Consumer(
            self.kafka
            | {
                "group.id": "shop.reader",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
            }
        )
        try:
            unread = set(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, number, 0) for number in unread])
            found = []
            while unread:
                for message in consumer.consume(1_000, 0.1):
                    if message.error() is None:
                        found.append(message)
                    else:
                        unread.discard(message.partition())
            return found
        finally:
            consumer.close()

    def letters(self) -> dict[Place, list[Letter]]:
        """Dead letters by where their records lie."""
        found: dict[Place, list[Letter]] = {}
        for message in self.read(self.names.physical(topics.DEAD_LETTERS)):
            verdict = read_verdict(message.headers())
            assert verdict.origin.topic == self.events
            place = Place(verdict.origin.partition, verdict.origin.offset)
            found.setdefault(place, []).append(Letter(message.key(), message.value(), verdict))
        return found

    def states(self) -> tuple[dict[bytes, bytes], dict[int, Position]]:
        """Encoded profiles by key, and each partition's position."""
        states: dict[bytes, bytes] = {}
        positions: dict[int, Position] = {}
        for message in self.read(self.names.changelog("profiles")):
            if message.key() == POSITION_KEY:
                positions[message.partition()] = decode_position(message.value())
            else:
                states[message.key()] = message.value()[HEADER_BYTES:]
        return states, positions


def encoded(made: Json) -> bytes:
    return json.dumps(made).encode()


def knows(state: bytes, *event_ids: str) -> bool:
    """Whether a profile has folded these events and no others."""
    return codec.decode(state).event_ids == b"".join(
        event_id_hash(event_id).to_bytes(4, "little") for event_id in event_ids
    )

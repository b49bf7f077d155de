"""Workers of the counting processor on the session's broker, and the question that every test ends with: is what was
committed what a straight fold of the log gives?"""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec
from prometheus_client import CollectorRegistry

from stream.contracts.topics import COMPACTION
from stream.engine import processor as engine
from stream.engine.group_offsets import GroupOffsets
from stream.engine.position import POSITION_KEY, Position, decode_position, frame
from stream.engine.settings import EngineSettings
from stream.engine.stores.memory import open_memory_store
from stream.engine.stores.store import StoreFactory
from stream.engine.worker import Worker
from stream.testing.topics import Record, Topics
from stream.testing.waiting import eventually
from tests.integration.engine.counting import LIMIT, Counting, Said, Sum, dead_letter
from tests.integration.engine.straight import Straight

QUICK = {
    "commit_interval_ms": 20,
    "backlog_commit_interval_ms": 20,
    "session_timeout_ms": 1_000,
    "transaction_timeout_ms": 2_000,
    "tick_interval_ms": 100_000,
    # Most of what these tests write is bad.
    "dead_letter_share": 1.0,
    "quarantine_share": 1.0,
}


class Running:
    """A worker on a thread of its own.

    Attributes:
        error: what ``run`` raised.
    """

    def __init__(self, worker: Worker[Sum, Said], registry: CollectorRegistry) -> None:
        self.worker = worker
        self.registry = registry
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:
            self.error = error

    def stop(self) -> None:
        """Gracefully, and without an error."""
        self.worker.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error

    def ended_with(self, timeout: float = 20) -> BaseException:
        """The error that ends it."""
        self._thread.join(timeout)
        assert self.error is not None, "it still runs" if self._thread.is_alive() else "it ended without an error"
        return self.error

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def metric(self, name: str, **labels: str) -> float:
        """Sum of a metric over its label sets that have ``labels``."""
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


class Deployment:
    """Topics of one test with its workers.

    Args:
        output_settings, changelog_settings, dead_settings: of Kafka, for these topics.
    """

    def __init__(
        self,
        topics: Topics,
        processor: type[Counting] = Counting,
        partitions: int = 2,
        output_settings: dict[str, str] | None = None,
        changelog_settings: dict[str, str] | None = None,
        dead_settings: dict[str, str] | None = None,
    ) -> None:
        self.topics = topics
        self.partitions = partitions
        self.processor_class = processor
        self.processor = processor(topics.prefix)
        self.kafka = {"bootstrap.servers": topics.bootstrap_servers}
        self.admin = AdminClient(self.kafka)
        self.group = f"tidemark.{self.processor.role}"
        self.runs: list[Running] = []
        compacted = {"cleanup.policy": "compact", **COMPACTION, **(changelog_settings or {})}
        topics.create("input", partitions=partitions, settings={"message.timestamp.type": "LogAppendTime"})
        topics.create("output", partitions=partitions, settings=output_settings)
        topics.create("changelog", partitions=partitions, settings=compacted)
        topics.create("dead", partitions=1, settings=dead_settings)

    def start(
        self,
        instance: str = "a",
        stores: StoreFactory = open_memory_store,
        processor: Counting | None = None,
        **more: Any,
    ) -> Running:
        """Start a worker. Names of ``EngineSettings`` among ``more`` are settings, the others are the worker's."""
        settings = {name: more.pop(name) for name in list(more) if name in EngineSettings.__struct_fields__}
        registry = CollectorRegistry()
        worker = Worker(
            processor or self.processor_class(self.topics.prefix),
            self.kafka,
            EngineSettings(**(QUICK | settings)),
            instance,
            stores,
            dead_letter(self.processor.dead_letter_topic),
            registry,
            **more,
        )
        running = Running(worker, registry)
        self.runs.append(running)
        return running

    @contextmanager
    def running(self, instance: str = "a", **more: Any) -> Iterator[Running]:
        """A worker for the length of a block, which must not end it with an error."""
        run = self.start(instance, **more)
        yield run
        run.stop()

    def close(self) -> None:
        for run in self.runs:
            run.worker.stop()
        for run in self.runs:
            run._thread.join(20)

    # -- the log -----------------------------------------------------

    def produce(self, values: Iterable[tuple[str | bytes | None, str]], **more: Any) -> None:
        self.topics.produce(self.processor.input_topic, values, **more)

    def ends(self) -> list[int]:
        """End of each partition of the input. Behind a tick or a signal lies a marker, which is never folded."""
        asked = [TopicPartition(self.processor.input_topic, number) for number in range(self.partitions)]
        answers = self.admin.list_offsets({partition: OffsetSpec.latest() for partition in asked})
        return [answers[partition].result(10).offset for partition in asked]

    def read(self, *topics: str) -> list[Record]:
        """All committed records of some topics, in order within each partition."""
        consumer = Consumer(
            self.kafka
            | {
                "group.id": f"{self.topics.prefix}reader",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 10,
            }
        )
        try:
            known = consumer.list_topics(timeout=10).topics
            unread = {(topic, number) for topic in topics for number in known[topic].partitions}
            consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic, number in unread])
            records: list[Record] = []
            while unread:
                for message in consumer.consume(10_000, 0.05):
                    error, topic, number = message.error(), message.topic() or "", message.partition() or 0
                    if error is None:
                        headers: Any = message.headers() or []
                        place = (topic, number, message.offset() or 0)
                        records.append(Record(*place, message.key(), message.value(), message.timestamp()[1], headers))
                    elif error.code() == KafkaError._PARTITION_EOF:
                        unread.discard((topic, number))
                    else:
                        raise KafkaException(error)
            return records
        finally:
            consumer.close()

    def committed(self) -> list[TopicPartition]:
        """The group's offset of each partition. Waits out what is just being committed: the broker answers to a commit
        before readers see it."""
        wanted = [TopicPartition(self.processor.input_topic, number) for number in range(self.partitions)]
        return GroupOffsets(self.kafka, self.group, stable=True).committed(wanted, 10)

    def commit_offsets(self, offsets: Sequence[int]) -> None:
        """As an operator would: the group has to be empty."""
        wanted = [TopicPartition(self.processor.input_topic, number, offset) for number, offset in enumerate(offsets)]
        answer = self.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(self.group, wanted)])
        answer[self.group].result(10)

    def folded(self, ends: Sequence[int] | None = None, timeout: float = 20) -> None:
        """Wait until everything that is in the input now is committed."""
        wanted = self.ends() if ends is None else ends
        done = eventually(
            lambda: (
                any(run.error for run in self.runs)
                or all(found.offset >= end for found, end in zip(self.committed(), wanted, strict=True) if end)
            ),
            timeout=timeout,
        )
        for run in self.runs:
            if run.error is not None:
                raise run.error
        assert done, f"committed {self.committed()} of {wanted}"

    # -- what came of it ---------------------------------------------

    def outputs(self) -> list[Record]:
        return self.read(self.processor.output_topic)

    def dead_letters(self) -> Counter[str]:
        """Codes."""
        letters = self.read(self.processor.dead_letter_topic)
        return Counter((dict(letter.headers)["code"] or b"").decode() for letter in letters)

    def changelog(self, records: Iterable[Record] | None = None) -> list[tuple[dict[bytes, bytes], Position | None]]:
        """By partition: framed values and position."""
        found: list[tuple[dict[bytes, bytes], Position | None]] = [({}, None) for _ in range(self.partitions)]
        for record in self.read(self.processor.changelog_topic) if records is None else records:
            states, position = found[record.partition]
            if record.key == POSITION_KEY:
                position = decode_position(record.value or b"")
            elif record.value is None:
                states.pop(record.key or b"", None)
            else:
                states[record.key or b""] = record.value
            found[record.partition] = (states, position)
        return found

    def assert_exact(self, limit: int = LIMIT, processor: Counting | None = None) -> list[Straight]:
        """Outputs, dead letters, states, timers, time and shared state are those of a straight fold of the log."""
        processor = processor or self.processor
        straights = [Straight(processor, limit) for _ in range(self.partitions)]
        names = (processor.input_topic, processor.output_topic, processor.dead_letter_topic, processor.changelog_topic)
        records: dict[str, list[Record]] = {name: [] for name in names}
        for record in self.read(*names):
            records[record.topic].append(record)
        for record in records[processor.input_topic]:
            straights[record.partition].fold(
                engine.Record(record.topic, record.partition, record.offset, 0, record.key, record.value, ())
            )
        wanted = [output for straight in straights for output in straight.outputs]
        found = [*records[processor.output_topic], *records[processor.dead_letter_topic]]
        assert _series(found) == _series(wanted)
        changelog = self.changelog(records[processor.changelog_topic])
        for straight, (states, position) in zip(straights, changelog, strict=True):
            assert states == {
                key: frame(straight.dues.get(key, 0), key in straight.waiting, processor.codec.encode(state))
                for key, state in straight.states.items()
            }
            if position is not None:
                assert (position.time, position.shared) == (straight.time, processor.encode_shared(straight.shared))
        return straights


def _series(records: Iterable[Any]) -> dict[tuple[str, bytes | None], list[Any]]:
    """By topic and key, in order. Keys that several partitions write have no order."""
    series: dict[tuple[str, bytes | None], list[Any]] = defaultdict(list)
    for record in records:
        series[record.topic, record.key].append((record.value, tuple(record.headers)))
    return {
        name: sorted(values, key=repr) if name[1] in (b"silence", b"woken", b"time", None) else values
        for name, values in series.items()
    }

"""A restore ends with the state that belongs to the committed offset, or with a message that says what to do."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from stream.embedded.kafka import EmbeddedKafka
from stream.engine.bounds import Bounds, Questions
from stream.engine.cluster import FoldChanged, TopicMismatch
from stream.engine.position import POSITION_KEY, Position, encode_position, frame
from stream.engine.restore import StateLost
from stream.engine.stores.rocks import RocksStores
from stream.testing.waiting import eventually
from tests.integration.engine.counting import Counting, Sum
from tests.integration.engine.deployment import Deployment
from tests.integration.engine.test_exactly_once import COMMIT_FREE, some_records

HOUR_MS = 3_600_000


class FormerOwner:
    """What a worker does with a transaction, by hand and step by step: partition 0, keys in ``states``."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.producer = Producer(deployment.kafka | {"transactional.id": "former", "transaction.timeout.ms": 8_000})
        self.producer.init_transactions(10)
        self.consumer = Consumer(
            deployment.kafka
            | {"group.id": deployment.group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        )
        self.consumer.subscribe([deployment.processor.input_topic])
        assert eventually(lambda: self.consumer.poll(0.1) is None and self.consumer.assignment())

    def write(self, states: dict[bytes, Sum | None], offset: int) -> None:
        """A transaction up to the point where only the commit is missing."""
        processor, producer = self.deployment.processor, self.producer
        producer.begin_transaction()
        values = {
            key: state and frame(state.due, False, processor.codec.encode(state)) for key, state in states.items()
        }
        position = encode_position(Position(offset, 1_000, processor.fold_version))
        for key, value in [*values.items(), (POSITION_KEY, position)]:
            producer.produce(processor.changelog_topic, value, key, 0)
        producer.send_offsets_to_transaction(
            [TopicPartition(processor.input_topic, 0, offset)], self.consumer.consumer_group_metadata()
        )
        producer.flush(10)

    def commit(self, states: dict[bytes, Sum | None], offset: int) -> None:
        self.write(states, offset)
        self.producer.commit_transaction(10)

    def leave(self) -> None:
        self.consumer.close()


@pytest.fixture
def single(deploy: Callable[..., Deployment]) -> Deployment:
    """One partition."""
    return deploy(partitions=1)


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "aborted"])
def test_a_restore_waits_for_the_transaction_that_a_former_owner_left_open(single: Deployment, committed: bool) -> None:
    single.produce([("a", f"{1_000 + number} 1") for number in range(10)])
    former = FormerOwner(single)
    former.commit({b"a": Sum(total=3, records=3)}, 3)
    former.write({b"a": Sum(total=5, records=5), b"b": Sum(total=100)}, 5)
    former.leave()
    run = single.start()
    time.sleep(0.8)
    assert run.worker.partitions == []
    assert run.alive
    if committed:
        former.producer.commit_transaction(10)
    else:
        former.producer.abort_transaction(10)
    single.folded([10])
    run.stop()
    ((states, position),) = single.changelog()
    assert single.processor.codec.decode(states[b"a"][8:]).total == 10
    assert (b"b" in states) == committed
    assert position is not None
    assert position.offset == 10
    assert len(single.outputs()) == (5 if committed else 7), "what was folded already is not folded again"


def test_a_changelog_of_tombstones_restores_to_nothing(single: Deployment) -> None:
    former = FormerOwner(single)
    former.commit({b"a": Sum(total=3), b"b": Sum(total=4)}, 0)
    former.commit({b"a": None, b"b": None}, 0)
    former.leave()
    with single.running() as run:
        assert eventually(lambda: run.worker.partitions == [0])
        assert run.metric("tidemark_restored_records_total") == 6
        single.produce([("a", "1000 1")])
        single.folded([1])
    ((states, _),) = single.changelog()
    assert single.processor.codec.decode(states[b"a"][8:]).total == 1


@pytest.fixture
def eager_cleaner(embedded_kafka: EmbeddedKafka) -> Iterator[None]:
    """The broker's log cleaner looks for work all the time."""
    admin = AdminClient({"bootstrap.servers": embedded_kafka.bootstrap_servers})

    def set_backoff(operation: AlterConfigOpType) -> None:
        entry = ConfigEntry("log.cleaner.backoff.ms", "100", incremental_operation=operation)
        broker = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
        admin.incremental_alter_configs([broker])[broker].result(10)

    set_backoff(AlterConfigOpType.SET)
    yield
    set_backoff(AlterConfigOpType.DELETE)


@pytest.mark.usefixtures("eager_cleaner")
def test_a_compacted_changelog_restores_to_the_last_of_each_key(deploy: Callable[..., Deployment]) -> None:
    often = {"segment.ms": "200", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "200"}
    deployment = deploy(partitions=1, changelog_settings=often | {"delete.retention.ms": "0"})
    with deployment.running(max_uncommitted_records=20):
        for part in range(3):
            deployment.produce(some_records(150, part, 10_000 + 9_000 * part, [*COMMIT_FREE, "gone"]))
            deployment.folded()
            time.sleep(0.3)  # the next part begins a new segment
            if part == 0:
                first_part = len(deployment.read(deployment.processor.changelog_topic))

    def compacted() -> bool:
        found = deployment.read(deployment.processor.changelog_topic)
        return not any(record.key == POSITION_KEY and record.offset < first_part for record in found)

    assert eventually(compacted, timeout=15)
    with deployment.running() as run:
        deployment.produce(some_records(50, 9, 60_000, COMMIT_FREE))
        deployment.folded()
        assert run.metric("tidemark_restored_records_total") < 100
    deployment.assert_exact()


def lost(deployment: Deployment, **more: object) -> str:
    """The message with which a worker stops because its state is lost."""
    error = deployment.start(**more).ended_with()
    assert isinstance(error, StateLost), repr(error)
    deployment.runs.clear()
    return str(error)


@pytest.mark.parametrize("too_early", [0, 3])
def test_an_end_that_was_long_passed_is_asked_for_again(
    single: Deployment, too_early: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a broker gives it that has just become the leader."""
    single.produce([("a", f"{1_000 + number} 1") for number in range(10)])
    with single.running():
        single.folded([10])
    take, told = Questions._take_answer, []

    def once_too_early(questions: Questions, bounds: Bounds, answer: Any) -> None:
        asked_for_end = bounds.committed is not None and bounds.end is None
        take(questions, bounds, answer)
        if asked_for_end and not told:
            told.append(bounds.end)
            bounds.end = too_early

    monkeypatch.setattr(Questions, "_take_answer", once_too_early)
    single.produce([("a", f"{2_000 + number} 1") for number in range(10)])
    with single.running():
        single.folded([20])
    assert told
    single.assert_exact()


def test_state_and_offset_that_do_not_belong_together_stop_the_worker(single: Deployment) -> None:
    single.produce([("a", f"{1_000 + number} 1") for number in range(10)])
    with single.running():
        single.folded([10])
    time.sleep(1.1)  # until the group has forgotten its static member
    single.commit_offsets([4])
    message = lost(single)
    assert "the state is at offset 10 and the group at 4" in message
    assert "fold the log anew" in message


class Later(Counting):
    fold_version = 2


def test_a_changed_fold_is_refused_before_it_touches_anything(single: Deployment, tmp_path: Path) -> None:
    stores = RocksStores(tmp_path, HOUR_MS)
    single.produce([("a", "1000 1")])
    with single.running(stores=stores):
        single.folded([1])
    error = single.start(stores=stores, processor=Later(single.topics.prefix)).ended_with()
    assert isinstance(error, FoldChanged), repr(error)
    assert "fold version 1 and this is version 2" in str(error)
    assert "`tidemark rebuild`" in str(error)
    single.runs.clear()
    with single.running(stores=stores) as run:
        assert eventually(lambda: run.worker.partitions == [0])
        assert run.metric("tidemark_restored_records_total") == 0, "its store is as it was"


def test_a_changed_fold_is_refused_where_the_commits_do_not_tell(single: Deployment) -> None:
    single.produce([("a", "1000 1")])
    former = FormerOwner(single)
    former.commit({b"a": Sum(total=1)}, 1)
    former.leave()
    error = single.start(processor=Later(single.topics.prefix)).ended_with()
    assert isinstance(error, FoldChanged), repr(error)
    single.runs.clear()


def test_an_offset_without_state_stops_the_worker(single: Deployment) -> None:
    single.produce([("a", "1000 1")])
    single.commit_offsets([1])
    assert "offset 1 is committed" in lost(single)


def test_a_log_that_begins_behind_the_state_stops_the_worker(single: Deployment) -> None:
    single.produce([("a", f"{1_000 + number} 1") for number in range(10)])
    with single.running():
        single.folded([10])
    single.produce([("a", f"{2_000 + number} 1") for number in range(10)])
    delete_before(single, 15)
    message = lost(single)
    assert "begins at offset 15 and the state ends at 10" in message
    assert "fold the log anew" in message


def test_a_lost_offset_is_taken_from_the_state(single: Deployment) -> None:
    single.produce([("a", f"{1_000 + number} 1") for number in range(10)])
    with single.running():
        single.folded([10])
    time.sleep(1.1)
    single.admin.delete_consumer_groups([single.group])[single.group].result(10)
    single.produce([("a", "2000 1")])
    with single.running():
        single.folded([11])
    single.assert_exact()


def delete_before(deployment: Deployment, offset: int) -> None:
    target = TopicPartition(deployment.processor.input_topic, 0, offset)
    next(iter(deployment.admin.delete_records([target]).values())).result(10)


@pytest.mark.parametrize("attempt", range(2))
def test_a_log_whose_begin_was_deleted_is_read_from_what_is_left(single: Deployment, attempt: int) -> None:
    single.produce([("a", f"{1_000 + number} 1") for number in range(10)])
    delete_before(single, 4)
    with single.running():
        single.folded([10])
    assert len(single.outputs()) == 6


def add_partition(deployment: Deployment) -> None:
    topic = deployment.processor.input_topic
    added = deployment.admin.create_partitions([NewPartitions(topic, deployment.partitions + 1)])
    added[topic].result(10)


def test_added_partitions_are_refused_at_the_start(single: Deployment) -> None:
    add_partition(single)
    error = single.start().ended_with()
    assert isinstance(error, TopicMismatch)
    assert "2 partitions" in str(error)
    assert "old the log anew: docs/operations.md" in str(error)


def test_added_partitions_stop_a_worker_that_runs(single: Deployment) -> None:
    run = single.start(consumer_properties={"topic.metadata.refresh.interval.ms": 300})
    assert eventually(lambda: run.worker.partitions == [0])
    add_partition(single)
    error = run.ended_with()
    assert isinstance(error, TopicMismatch)
    assert "old the log anew: docs/operations.md" in str(error)


def test_a_missing_topic_is_named(single: Deployment) -> None:
    single.topics.delete(single.processor.dead_letter_topic)
    error = single.start().ended_with()
    assert isinstance(error, TopicMismatch)
    assert single.processor.dead_letter_topic in str(error)
    assert "tidemark topics" in str(error)


def test_a_store_on_disk_reads_only_what_it_missed(single: Deployment, tmp_path: Path) -> None:
    stores = RocksStores(tmp_path, HOUR_MS)
    single.produce([(f"old-{number}", "1000 1") for number in range(100)])
    with single.running(stores=stores):
        single.folded()
    single.produce([(f"new-{number}", "1000 1") for number in range(7)])
    with single.running():  # elsewhere, in memory
        single.folded()
    with single.running(stores=stores) as run:
        assert eventually(lambda: run.worker.partitions == [0])
        assert 7 < run.metric("tidemark_restored_records_total") < 20, "and a position for each commit"
        single.produce(some_records(100, 2, 40_000, COMMIT_FREE))
        single.folded()
    with single.running(stores=stores) as run:
        assert eventually(lambda: run.worker.partitions == [0])
        assert run.metric("tidemark_restored_records_total") == 0
    single.assert_exact()


def test_a_store_outside_the_changelog_is_wiped(single: Deployment, tmp_path: Path) -> None:
    stores = RocksStores(tmp_path, HOUR_MS)
    single.produce(some_records(100, 1, words=COMMIT_FREE))
    with single.running(stores=stores) as run:
        single.folded()
    store = stores(0, run.worker._restorer._stamp)
    store.write({b"stray": frame(0, False, b"")}, Position(1_000, 1, 1), 10**6)
    store.close()
    single.produce(some_records(100, 2, 40_000, COMMIT_FREE))
    with single.running(stores=stores) as run:
        single.folded()
        assert run.metric("tidemark_restored_records_total") > 0
    single.assert_exact()

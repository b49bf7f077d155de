"""Brings partitions' states back from the changelog, in short steps between which other partitions go on.

The order of the questions is the point. First the group's committed offset, and only a stable one: that waits out a
transaction which a former owner left open. Then the changelog's end, uncommitted records included: the last stable
offset would hide what is committed a moment later. Then the changelog up to that end. Asked the other way round, state
was seen to end up behind the offset. At the end the position record, which lies in the same transaction as the
committed offset, has to be equal to it.
"""

import time
from concurrent.futures import Future
from typing import Any, Final

import structlog
from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from stream.engine.clients import Properties, error_of, make_restore_consumer
from stream.engine.position import POSITION_KEY, Position, decode_position
from stream.engine.processor import Processor
from stream.engine.settings import EngineSettings
from stream.engine.stores.store import Stamp, Store, StoreFactory

_REQUEST_TIMEOUT_S: Final = 10.0
_ASK_AGAIN_S: Final = 0.2

_log = structlog.get_logger(__name__)


class StateLost(RuntimeError):
    """State and committed offset do not belong together; going on would give wrong answers."""


class Restored:
    """A partition that is ready: its store, and where its input goes on."""

    __slots__ = ("offset", "partition", "position", "records", "seconds", "store")

    def __init__(self, partition: int, store: Store, position: Position | None, offset: int) -> None:
        self.partition = partition
        self.store = store
        self.position = position
        self.offset = offset
        self.records = 0
        self.seconds = 0.0


class _Task:
    """How far one partition's restore is."""

    def __init__(self, partition: int, store: Store | None, kept_offset: int | None) -> None:
        self.partition = partition
        self.store = store
        self.kept_offset = kept_offset
        self.committed: int | None = None
        self.end: int | None = None
        self.input_start: int | None = None
        self.question: Future[Any] | None = None
        self.ask_at = 0.0
        self.reading = False
        self.reached = 0
        self.position: Position | None = None
        self.buffer: dict[bytes, bytes | None] = {}
        self.records = 0
        self.started = time.monotonic()


class Restorer:
    """Restores the partitions of one processor.

    Args:
        kafka: common client properties.
        group: the processor's consumer group.
    """

    def __init__(
        self,
        kafka: Properties,
        group: str,
        processor: Processor[Any, Any],
        settings: EngineSettings,
        stores: StoreFactory,
        stamp: Stamp,
    ) -> None:
        self._kafka = dict(kafka)
        self._group = group
        self._processor = processor
        self._settings = settings
        self._stores = stores
        self._stamp = stamp
        self._tasks: dict[int, _Task] = {}
        self._admin = AdminClient(self._kafka)
        self._consumer: Consumer | None = None

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def has(self, partition: int) -> bool:
        return partition in self._tasks

    def begin(self, partition: int, store: Store | None = None, kept_offset: int | None = None) -> None:
        """Queue a partition.

        Args:
            store: kept from before, when the partition was ours already.
            kept_offset: the committed offset it was kept at. If the group's is the same, nothing needs to be read.
        """
        self._tasks[partition] = _Task(partition, store, kept_offset)

    def forget(self, partition: int) -> None:
        """The partition was taken away before it was ready."""
        task = self._tasks.pop(partition, None)
        if task is None:
            return
        self._unassign(partition)
        if task.store is not None:
            task.store.close()

    def step(self) -> list[Restored]:
        """Do a little, and return what is ready.

        Raises:
            StateLost: a partition's state and offset do not belong together.
        """
        ready: list[Restored] = []
        for task in list(self._tasks.values()):
            if not task.reading and self._ask(task):
                if task.kept_offset is not None and task.kept_offset == task.committed and task.store is not None:
                    ready.append(self._finish(task, task.store.position()))
                else:
                    self._open(task)
        if any(task.reading for task in self._tasks.values()):
            self._read()
        for task in list(self._tasks.values()):
            if task.reading and task.end is not None and task.reached >= task.end:
                self._apply(task)
                ready.append(self._finish(task, self._verified(task)))
        if not self._tasks and self._consumer is not None:
            self._consumer.close()
            self._consumer = None
        return ready

    def close(self) -> None:
        for partition in list(self._tasks):
            self.forget(partition)
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    # -- questions ---------------------------------------------------

    def _ask(self, task: _Task) -> bool:
        """Put the next question to the cluster without waiting for it. True when all are answered."""
        if task.question is None:
            if time.monotonic() < task.ask_at:
                return False
            task.question = self._next_question(task)
            return False
        if not task.question.done():
            return False
        question, task.question = task.question, None
        try:
            self._take_answer(task, question.result())
        except KafkaException as exception:
            _log.info("restore asks again", partition=task.partition, error=str(error_of(exception)))
            task.ask_at = time.monotonic() + _ASK_AGAIN_S
            # A client that has seen FENCED_LEADER_EPOCH may never recover.
            self._admin = AdminClient(self._kafka)
            return False
        return task.input_start is not None

    def _next_question(self, task: _Task) -> Future[Any]:
        if task.committed is None:
            wanted = TopicPartition(self._processor.input_topic, task.partition)
            groups = self._admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(self._group, [wanted])],
                require_stable=True,
                request_timeout=_REQUEST_TIMEOUT_S,
            )
            return groups[self._group]
        if task.end is None:
            asked = TopicPartition(self._processor.changelog_topic, task.partition)
            spec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        else:
            asked = TopicPartition(self._processor.input_topic, task.partition)
            spec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        answers = self._admin.list_offsets(
            {asked: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_REQUEST_TIMEOUT_S
        )
        return next(iter(answers.values()))

    def _take_answer(self, task: _Task, answer: Any) -> None:
        if task.committed is None:
            found = answer.topic_partitions[0]
            if found.error is not None:
                raise KafkaException(found.error)
            task.committed = found.offset if found.offset >= 0 else OFFSET_INVALID
        elif task.end is None:
            task.end = answer.offset
        else:
            task.input_start = answer.offset

    # -- reading -----------------------------------------------------

    def _open(self, task: _Task) -> None:
        end = task.end or 0
        if task.store is None:
            task.store = self._stores(task.partition, self._stamp)
        if not 0 <= task.store.changelog_offset() <= end:
            _log.warning("local store is outside the changelog: wiped", partition=task.partition)
            task.store.wipe()
        task.position = task.store.position()
        task.reached = task.store.changelog_offset()
        if self._consumer is None:
            self._consumer = make_restore_consumer(self._kafka, self._group)
        # A compacted changelog may begin later than where the store ends: what lies between is there again, newer.
        task.reading = True
        if task.reached < end:
            start = TopicPartition(self._processor.changelog_topic, task.partition, task.reached)
            self._consumer.incremental_assign([start])

    def _read(self) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        for message in consumer.consume(self._settings.restore_batch, 0.01):
            task = self._tasks.get(message.partition() or 0)
            if task is None or not task.reading:
                continue
            error = message.error()
            if error is not None:
                self._take_error(task, error, message.offset())
                continue
            key, value = message.key(), message.value()
            if key == POSITION_KEY:
                task.position = decode_position(value or b"")
            else:
                task.buffer[key or b""] = value
            task.records += 1
            task.reached = (message.offset() or 0) + 1
        for task in self._tasks.values():
            if len(task.buffer) >= self._settings.restore_batch:
                self._apply(task)

    def _take_error(self, task: _Task, error: KafkaError, offset: int | None) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            # What lies between the last record and the end are markers of transactions, which are never delivered.
            task.reached = max(task.reached, offset or 0)
        elif error.code() in (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET):
            _log.warning("local store is outside the changelog: wiped", partition=task.partition)
            self._start_again(task)
        elif not error.retriable():
            _log.warning("changelog cannot be read", partition=task.partition, error=str(error))

    def _start_again(self, task: _Task) -> None:
        if self._consumer is None or task.store is None:
            return
        task.store.wipe()
        task.position, task.buffer, task.reached = None, {}, 0
        changelog = self._processor.changelog_topic
        low, _ = self._consumer.get_watermark_offsets(
            TopicPartition(changelog, task.partition), timeout=_REQUEST_TIMEOUT_S
        )
        self._consumer.incremental_unassign([TopicPartition(changelog, task.partition)])
        self._consumer.incremental_assign([TopicPartition(changelog, task.partition, low)])

    def _apply(self, task: _Task) -> None:
        if task.store is not None:
            task.store.write(task.buffer, task.position, task.reached)
        task.buffer = {}

    # -- end ---------------------------------------------------------

    def _verified(self, task: _Task) -> Position | None:
        """The position, which has to be equal to the committed offset.

        Raises:
            StateLost: it is not.
        """
        assert task.store is not None and task.committed is not None  # noqa: S101, PT018 - for the type checker
        position, committed = task.position, task.committed
        where = f"{self._processor.input_topic}[{task.partition}]"
        repair = f"run `tidemark rebuild --role {self._processor.role}` to fold the log into a new state"
        if position is None:
            if task.end and len(task.store):
                raise StateLost(
                    f"{where}: the changelog holds state but no position, so nobody knows its offset: {repair}"
                )
            if committed != OFFSET_INVALID:
                raise StateLost(
                    f"{where}: offset {committed} is committed, but {self._processor.changelog_topic} holds no state: "
                    f"{repair}"
                )
            return None
        if position.fold_version != self._processor.fold_version:
            raise StateLost(
                f"{where}: the state was made by fold version {position.fold_version} and this is version "
                f"{self._processor.fold_version}: {repair}, or run the older version"
            )
        if committed == OFFSET_INVALID:
            _log.warning(
                "no committed offset: going on from the changelog's position", input=where, offset=position.offset
            )
        elif committed != position.offset:
            raise StateLost(f"{where}: the state is at offset {position.offset} and the group at {committed}: {repair}")
        return position

    def _finish(self, task: _Task, position: Position | None) -> Restored:
        assert task.store is not None and task.input_start is not None  # noqa: S101, PT018 - for the type checker
        del self._tasks[task.partition]
        self._unassign(task.partition)
        offset = position.offset if position is not None else task.input_start
        if offset < task.input_start:
            raise StateLost(
                f"{self._processor.input_topic}[{task.partition}]: the log begins at offset {task.input_start} and the "
                f"state ends at {offset}: the records between are gone. Lengthen the topic's retention, and run "
                f"`tidemark rebuild --role {self._processor.role}`"
            )
        restored = Restored(task.partition, task.store, position, offset)
        restored.records = task.records
        restored.seconds = time.monotonic() - task.started
        return restored

    def _unassign(self, partition: int) -> None:
        if self._consumer is None:
            return
        assigned = [held for held in self._consumer.assignment() if held.partition == partition]
        if assigned:
            self._consumer.incremental_unassign(assigned)

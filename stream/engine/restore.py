"""Brings partitions' states back from the changelog, in short steps between which other partitions go on.

After the bounds are known (``stream.engine.bounds``) the changelog is read up to its end. At the end the position
record, which lies in the same transaction as the committed offset, has to be equal to it: state and offset that do not
belong together stop the worker instead of giving wrong answers.
"""

import time
from collections.abc import Container
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, TopicPartition

from stream.engine.bounds import Questions
from stream.engine.clients import Properties, make_restore_consumer
from stream.engine.cluster import refuse_other_fold
from stream.engine.contact import Contact
from stream.engine.position import POSITION_KEY, Position, decode_position
from stream.engine.processor import Processor
from stream.engine.restore_task import RestoreTask
from stream.engine.settings import EngineSettings
from stream.engine.stores.store import Stamp, Store, StoreFactory

_READ_S: Final = 0.01
_WATERMARK_TIMEOUT_S: Final = 10.0

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


class UnderWay(NamedTuple):
    """A restore that is not over."""

    partition: int
    started: float
    """Epoch seconds."""
    remaining: int | None
    """Offsets of the changelog still to be read; None while its end is not known."""


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
        self._tasks: dict[int, RestoreTask] = {}
        self._questions = Questions(self._kafka, group, processor)
        self._consumer: Consumer | None = None
        self._contact = Contact(self._kafka, processor.changelog_topic)

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def has(self, partition: int) -> bool:
        return partition in self._tasks

    def under_way(self) -> list[UnderWay]:
        """What is queued or being restored."""
        return [UnderWay(task.partition, task.began, task.remaining) for task in self._tasks.values()]

    def begin(self, partition: int, store: Store | None = None) -> None:
        """Queue a partition.

        Args:
            store: kept from before, when the partition was ours already. Only what was written since is read.
        """
        self._tasks[partition] = RestoreTask(partition, store)

    def give_up(self, partition: int) -> Store | None:
        """The partition was taken away before it was ready. Returns its store, as far as it is restored."""
        task = self._tasks.pop(partition, None)
        if task is None:
            return None
        self._unassign(partition)
        if task.reading:
            self._apply(task)
        return task.store

    def step(self, located: Container[int]) -> list[Restored]:
        """Do a little, and return what is ready.

        Args:
            located: partitions that may be ready; the others wait.

        Raises:
            StateLost: a partition's state and offset do not belong together.
            FoldChanged: another fold has made a partition's state.
            ConsumerLost: the changelog's consumer knows no broker any more, though there are some.
        """
        for task in self._tasks.values():
            if not task.reading and self._questions.ask(task.bounds):
                self._open(task)
        if any(task.reading for task in self._tasks.values()):
            self._read()
        ready: list[Restored] = []
        for task in list(self._tasks.values()):
            read = task.reading and task.bounds.end is not None and task.reached >= task.bounds.end
            if read and task.partition in located:
                self._apply(task)
                if task.behind and task.doubts():
                    self._unassign(task.partition)
                else:
                    ready.append(self._finish(task))
        if not self._tasks:
            self._close_consumer()
        return ready

    def close(self) -> None:
        for partition in list(self._tasks):
            store = self.give_up(partition)
            if store is not None:
                store.close()
        self._questions.close()
        self._close_consumer()

    def _close_consumer(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    # -- reading -----------------------------------------------------

    def _open(self, task: RestoreTask) -> None:
        end = task.bounds.end or 0
        if task.store is None:
            task.store = self._stores(task.partition, self._stamp)
        if not 0 <= task.store.changelog_offset() <= end:
            task.reached = task.store.changelog_offset()
            if task.doubts():
                return
            _log.warning(
                "local store is outside the changelog: wiped", partition=task.partition, at=task.reached, end=end
            )
            task.store.wipe()
        task.position = task.store.position()
        task.reached = task.store.changelog_offset()
        task.reading = True
        if self._consumer is None:
            self._consumer = make_restore_consumer(self._kafka, self._group)
            self._contact.heard()
        # A compacted changelog may begin later than where the store ends: what lies between is there again, newer.
        if task.reached < end:
            start = TopicPartition(self._processor.changelog_topic, task.partition, task.reached)
            self._consumer.incremental_assign([start])

    def _read(self) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        messages = consumer.consume(self._settings.restore_batch, _READ_S)
        if messages:
            self._contact.heard()
        else:
            self._contact.look(consumer)
        for message in messages:
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
        # Over all partitions, or what is buffered would grow with their number.
        if sum(len(task.buffer) for task in self._tasks.values()) >= self._settings.restore_batch:
            for task in self._tasks.values():
                if task.buffer:
                    self._apply(task)

    def _take_error(self, task: RestoreTask, error: KafkaError, offset: int | None) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            # What lies between the last record and the end are markers of transactions, which are never delivered.
            task.reached = max(task.reached, offset or 0)
        elif error.code() in (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET):
            if task.doubts():
                self._unassign(task.partition)
                return
            _log.warning("local store is outside the changelog: wiped", partition=task.partition, at=task.reached)
            self._start_again(task)
        elif not error.retriable():
            _log.warning("changelog cannot be read", partition=task.partition, error=str(error))

    def _start_again(self, task: RestoreTask) -> None:
        if self._consumer is None or task.store is None:
            return
        task.store.wipe()
        task.position, task.buffer, task.reached = None, {}, 0
        changelog = self._processor.changelog_topic
        low, _ = self._consumer.get_watermark_offsets(
            TopicPartition(changelog, task.partition), timeout=_WATERMARK_TIMEOUT_S
        )
        self._consumer.incremental_unassign([TopicPartition(changelog, task.partition)])
        self._consumer.incremental_assign([TopicPartition(changelog, task.partition, low)])

    def _apply(self, task: RestoreTask) -> None:
        if task.store is not None:
            task.store.write(task.buffer, task.position, task.reached, restoring=True)
        task.buffer = {}

    # -- end ---------------------------------------------------------

    def _finish(self, task: RestoreTask) -> Restored:
        store, input_start = task.store, task.bounds.input_start
        assert store is not None and input_start is not None  # noqa: S101, PT018 - for the type checker
        position = self._verified(task, store)
        offset = position.offset if position is not None else input_start
        if offset < input_start:
            raise StateLost(
                f"{self._processor.input_topic}[{task.partition}]: the log begins at offset {input_start} and the "
                f"state ends at {offset}: the records between are gone. Lengthen the topic's retention, and fold "
                "the log anew: docs/operations.md says how"
            )
        del self._tasks[task.partition]
        self._unassign(task.partition)
        restored = Restored(task.partition, store, position, offset)
        restored.records = task.records
        restored.seconds = time.monotonic() - task.started
        return restored

    def _verified(self, task: RestoreTask, store: Store) -> Position | None:
        """The position, which has to be equal to the committed offset.

        Raises:
            StateLost: it is not.
            FoldChanged: another fold has made the state.
        """
        position, committed = task.position, task.bounds.committed
        where = f"{self._processor.input_topic}[{task.partition}]"
        repair = "fold the log anew: docs/operations.md says how"
        if position is None:
            if len(store):
                raise StateLost(
                    f"{where}: the changelog holds state but no position, so nobody knows its offset: {repair}"
                )
            if committed != OFFSET_INVALID:
                raise StateLost(
                    f"{where}: offset {committed} is committed, but {self._processor.changelog_topic} holds no state: "
                    f"{repair}"
                )
            return None
        refuse_other_fold(self._processor, task.partition, position.fold_version)
        if committed == OFFSET_INVALID:
            _log.warning(
                "no committed offset: going on from the changelog's position", input=where, offset=position.offset
            )
        elif committed != position.offset:
            raise StateLost(f"{where}: the state is at offset {position.offset} and the group at {committed}: {repair}")
        return position

    def _unassign(self, partition: int) -> None:
        if self._consumer is None:
            return
        assigned = [held for held in self._consumer.assignment() if held.partition == partition]
        if assigned:
            self._consumer.incremental_unassign(assigned)

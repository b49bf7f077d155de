"""The loop: take records in, fold what is ready, commit, and survive whatever Kafka answers.

One worker runs one processor over the partitions that the consumer group gives it. All of it happens on one thread, but for the
stage's event loop; whoever wants the worker to stop calls ``stop`` from wherever they are.
"""

import gc
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from stream.contracts.emission import Rejected
from stream.engine.clients import Properties, check_properties, error_of, make_consumer, make_producer
from stream.engine.cluster import check_topics
from stream.engine.guard import Guard
from stream.engine.metrics import EngineMetrics
from stream.engine.partition import DeadLetters, Entry, Partition
from stream.engine.position import POSITION_KEY, encode_position
from stream.engine.processor import OutputRecord, Parsed, Processor, Record
from stream.engine.restore import Restored, Restorer
from stream.engine.settings import EngineSettings
from stream.engine.stage import StageRunner, Ticket
from stream.engine.stores.store import StoreFactory
from stream.engine.transactions import GivenUp, PartitionCommit, Transactions

S = TypeVar("S")
P = TypeVar("P")

MakeTransactions = Callable[[Any, str, Callable[[], bool]], Transactions]

_STOP_PATIENCE_S: Final = 20.0
_LONGEST_WITHOUT_POLL_S: Final = 1.0
_CULPRIT_ABORTS: Final = 3
_SIGNAL_PAUSE_S: Final = 2.0
_HOUSEKEEPING_S: Final = 0.25
_LOSSES: Final = 5
_LOSSES_WITHIN_S: Final = 60.0
"""A producer that is fenced this often within this time has a twin: two workers with one name fence each other in turn."""
_RECORD_FAULTS: Final = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
        KafkaError.RECORD_LIST_TOO_LARGE,
    }
)
"""Errors for which an output record is to blame, so that trying again cannot help."""

_log = structlog.get_logger(__name__)


class WorkerFenced(RuntimeError):
    """Another live worker has this worker's instance name."""


class _Owned(Generic[S, P]):
    """A partition that is ours, with what the loop keeps beside it."""

    def __init__(self, partition: Partition[S, P], guard: Guard) -> None:
        self.partition = partition
        self.guard = guard
        self.pending: deque[Entry[P]] = deque()
        self.caught_up = False
        self.last_record = time.monotonic()
        self.signalled = 0.0
        self.aborts_at = -1
        self.aborts = 0
        self.counted = (0, 0, 0)


class Worker(Generic[S, P]):
    """Runs a processor until it is told to stop.

    Args:
        processor: what to run.
        kafka: client properties that all clients share, ``bootstrap.servers`` among them.
        instance: name that outlives the process; see ``Instance``.
        dead_letters: makes the dead letter of a refused record.
        make_transactions: tests place faults between the steps of a commit with their own.
        consumer_properties, producer_properties: librdkafka properties of these clients alone.

    Raises:
        FixedProperty: a property that may not be set.
    """

    def __init__(
        self,
        processor: Processor[S, P],
        kafka: Properties,
        settings: EngineSettings,
        instance: str,
        stores: StoreFactory,
        dead_letters: DeadLetters,
        registry: CollectorRegistry | None = None,
        make_transactions: MakeTransactions = Transactions,
        consumer_properties: Properties | None = None,
        producer_properties: Properties | None = None,
    ) -> None:
        for properties in (kafka, consumer_properties or {}, producer_properties or {}):
            check_properties(properties)
        self._processor = processor
        self._kafka = kafka
        self._settings = settings
        self._instance = instance
        self._stores = stores
        self._dead_letters = dead_letters
        self._make_transactions = make_transactions
        self._consumer_properties = consumer_properties
        self._producer_properties = producer_properties
        self._metrics = EngineMetrics(registry or CollectorRegistry())
        self.group = f"tidemark.{processor.role}"
        self._owned: dict[int, _Owned[S, P]] = {}
        self._kept: dict[int, Partition[S, P]] = {}
        self._pending = 0
        self._pending_bytes = 0
        self._stopping = threading.Event()
        self._stop_by = 0.0
        self._resume = threading.Event()
        self._failure: BaseException | None = None
        self._last_commit = time.monotonic()
        self._last_poll = time.monotonic()
        self._last_look = 0.0
        self._commit_now = False
        self._lost_producer = False
        self._losses: deque[float] = deque(maxlen=_LOSSES)

    # -- life --------------------------------------------------------

    def stop(self) -> None:
        """Finish gracefully: commit what is folded, leave, return from ``run``. May be called from a signal handler."""
        self._stop_by = time.monotonic() + _STOP_PATIENCE_S
        self._stopping.set()

    def resume(self) -> None:
        """Let partitions go on that the guard paused."""
        self._resume.set()

    @property
    def partitions(self) -> list[int]:
        """The partitions that are owned and restored."""
        return sorted(self._owned)

    def run(self) -> None:
        """Work until ``stop``.

        Raises:
            StateLost: state and offsets do not belong together; the message names the command that repairs it.
            WorkerFenced: another live worker has the same instance name.
            NewerState: the state was written by a newer version.
            TopicMismatch: topics are missing or do not fit together.
        """
        # What lives long is much and what dies young is more: the collector's default thresholds cost a tenth of the time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        processor = self._processor
        stamp = check_topics(AdminClient(dict(self._kafka)), processor, self._keep_trying)
        self._restorer = Restorer(self._kafka, self.group, processor, self._settings, self._stores, stamp)
        self._stage = StageRunner(processor.stage) if processor.stage is not None else None
        self._open_producer()
        self._consumer: Consumer = make_consumer(
            self._kafka, self._settings, self.group, self._instance, self._consumer_properties
        )
        try:
            self._consumer.subscribe(
                [processor.input_topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            _log.info("worker started", role=processor.role, instance=self._instance)
            while not self._stopping.is_set():
                self._step()
            self._commit()
        except GivenUp:
            _log.warning("stopped while Kafka was not answering: the open transaction will be aborted")
        finally:
            self._close()

    def _close(self) -> None:
        if self._stage is not None:
            self._stage.close()
        self._restorer.close()
        self._consumer.close()
        for owned in self._owned.values():
            owned.partition.store.close()
        for kept in self._kept.values():
            kept.store.close()
        _log.info("worker stopped", role=self._processor.role, instance=self._instance)

    def _keep_trying(self) -> bool:
        return not self._stopping.is_set() or time.monotonic() < self._stop_by

    def _open_producer(self) -> None:
        transactional_id = f"{self.group}.{self._instance}"
        producer = make_producer(self._kafka, self._settings, transactional_id, self._producer_properties)
        while True:
            try:
                producer.init_transactions(10.0)
                break
            except KafkaException as exception:
                if error_of(exception).fatal() or not error_of(exception).retriable():
                    raise
                if not self._keep_trying():
                    raise GivenUp(str(exception)) from exception
        self._transactions = self._make_transactions(producer, self._processor.changelog_topic, self._keep_trying)

    # -- loop --------------------------------------------------------

    def _step(self) -> None:
        if self._restorer:
            for restored in self._restorer.step():
                self._take_up(restored)
        self._take_in()
        self._fold_ready()
        now = time.monotonic()
        if now - self._last_look >= _HOUSEKEEPING_S:
            self._last_look = now
            self._keep_house(now)
        settings = self._settings
        if self._commit_now or (now - self._last_commit) * 1000 >= settings.commit_interval_ms or self._too_much_open():
            self._commit()
        if self._lost_producer:
            self._start_afresh()

    def _too_much_open(self) -> bool:
        return sum(o.partition.uncommitted for o in self._owned.values()) >= self._settings.max_uncommitted_records

    def _take_in(self) -> None:
        """Consume as much as there is room for, and hand it to the stage where there is one."""
        settings = self._settings
        room = min(settings.consume_batch, settings.max_pending_records - self._pending)
        if self._pending_bytes >= settings.max_pending_bytes:
            room = 0
        if room <= 0:
            if time.monotonic() - self._last_poll < _LONGEST_WITHOUT_POLL_S:
                self._wait_for_answers()
                return
            # The group has to hear from us; one record over the bound does no harm.
            room = 1
        self._last_poll = time.monotonic()
        messages = self._consumer.consume(room, 0)
        if not messages:
            if self._pending and self._stage is not None:
                self._wait_for_answers()
            else:
                messages = self._consumer.consume(1, settings.poll_timeout_ms / 1000)
        if self._failure is not None:
            raise self._failure
        if messages:
            self._accept(messages)

    def _wait_for_answers(self) -> None:
        if self._stage is not None:
            self._stage.wait(self._settings.poll_timeout_ms / 1000)

    def _accept(self, messages: list[Message]) -> None:
        processor, stage = self._processor, self._stage
        parse = processor.parse
        work: list[tuple[P, Ticket]] = []
        owned_by = self._owned
        now = time.monotonic()
        for message in messages:
            if message.error() is not None:
                self._take_error(message)
                continue
            owned = owned_by.get(message.partition() or 0)
            if owned is None:
                continue
            value = message.value()
            record = Record(
                processor.input_topic,
                message.partition() or 0,
                message.offset() or 0,
                message.timestamp()[1],
                message.key(),
                value,
                message.headers() or (),
            )
            owned.caught_up = False
            owned.last_record = now
            parsed: Parsed[P] | Rejected
            try:
                parsed = parse(record)
            except Rejected as refusal:
                parsed = refusal
            except Exception as error:
                _log.warning("parse failed", role=processor.role, origin=str(record.origin), exc_info=error)
                parsed = Rejected("fold_error", f"{type(error).__name__}: {error}")
            ticket = None
            if stage is not None and isinstance(parsed, Parsed) and processor.stage is not None:
                if parsed.key is not None and processor.stage.needs(parsed.payload):
                    ticket = Ticket()
                    work.append((parsed.payload, ticket))
            owned.pending.append(Entry(record, parsed, ticket))
            self._pending += 1
            self._pending_bytes += len(value) if value else 0
        if work and stage is not None:
            stage.submit(work)

    def _take_error(self, message: Message) -> None:
        error = message.error()
        assert error is not None  # noqa: S101 - for the type checker: the caller has looked
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            owned = self._owned.get(message.partition() or 0)
            if owned is not None:
                owned.caught_up = True
        elif code == KafkaError.FENCED_INSTANCE_ID:
            raise self._fenced()
        elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE) or error.fatal():
            raise KafkaException(error)
        else:
            _log.info("consumer", error=str(error))

    def _fenced(self) -> WorkerFenced:
        return WorkerFenced(
            f"another worker of role {self._processor.role} runs as instance {self._instance!r} and has taken over: "
            "give each worker its own --instance"
        )

    def _fold_ready(self) -> None:
        budget = self._settings.timers_per_step
        for owned in self._owned.values():
            if owned.guard.tripped:
                continue
            pending, partition = owned.pending, owned.partition
            single = owned.aborts >= _CULPRIT_ABORTS
            while pending:
                entry = pending[0]
                if entry.ticket is not None and not entry.ticket.done:
                    break
                if not partition.process(entry, budget):
                    self._commit_now = True
                    break
                pending.popleft()
                self._pending -= 1
                self._pending_bytes -= len(entry.record.value or b"")
                if single:
                    self._commit_now = True
                    break

    # -- commit ------------------------------------------------------

    def _commit(self) -> None:
        """Commit what is folded; on an error put everything back to the last commit."""
        self._commit_now = False
        self._last_commit = time.monotonic()
        dirty = [owned for owned in self._owned.values() if owned.partition.dirty]
        if not dirty:
            return
        work: list[tuple[Partition[S, P], PartitionCommit, Any, Any]] = []
        offsets: list[TopicPartition] = []
        for owned in dirty:
            partition = owned.partition
            changes, position = partition.changes()
            commit = PartitionCommit(partition.number, changes.items(), (POSITION_KEY, encode_position(position)))
            work.append((partition, commit, changes, position))
            facts = self._metadata(owned, position.time)
            offsets.append(TopicPartition(self._processor.input_topic, partition.number, position.offset, facts))
        outputs = [partition.context.outputs for partition, *_ in work]
        try:
            metadata = self._consumer.consumer_group_metadata()
            self._transactions.commit(outputs, [commit for _, commit, _, _ in work], offsets, metadata)
        except KafkaException as exception:
            self._recover(exception)
            return
        count = sum(map(len, outputs))
        for partition, commit, changes, position in work:
            partition.committed(changes, position, commit.changelog_offset)
        for owned in dirty:
            if owned.aborts and owned.partition.committed_offset > owned.aborts_at:
                owned.aborts, owned.aborts_at = 0, -1
        role = self._processor.role
        self._metrics.outputs.labels(role).inc(count)
        self._metrics.commit_seconds.labels(role).observe(time.monotonic() - self._last_commit)

    def _metadata(self, owned: _Owned[S, P], partition_time: int) -> str:
        facts = {"at": int(time.time() * 1000), "time": partition_time, "instance": self._instance}
        if owned.guard.tripped:
            facts["paused"] = owned.guard.tripped
        return json.dumps({**facts, **self._processor.worth_noting()}, separators=(",", ":"))

    def _recover(self, exception: KafkaException) -> None:
        error = error_of(exception)
        _log.warning("transaction failed", role=self._processor.role, error=str(error), fatal=error.fatal())
        self._metrics.aborts.labels(self._processor.role, error.name()).inc()
        if error.code() == KafkaError.FENCED_INSTANCE_ID:
            raise self._fenced() from exception
        if not error.fatal():
            try:
                self._transactions.abort()
            except KafkaException as second:
                error = error_of(second)
                _log.warning("abort failed", role=self._processor.role, error=str(error), fatal=error.fatal())
                self._lost_producer = True
        else:
            self._lost_producer = True
        if self._lost_producer:
            return
        blame = error.code() in _RECORD_FAULTS
        for owned in self._owned.values():
            self._put_back(owned, blame)

    def _put_back(self, owned: _Owned[S, P], blame: bool) -> None:
        """Back to the last commit, and read on from there."""
        partition = owned.partition
        if blame:
            if owned.aborts_at == partition.committed_offset:
                owned.aborts += 1
            else:
                owned.aborts_at, owned.aborts = partition.committed_offset, 1
            if owned.aborts > 2 * _CULPRIT_ABORTS and partition.uncommitted == 1:
                partition.condemn()
        partition.roll_back()
        self._drop_pending(owned)
        self._seek(partition)

    def _drop_pending(self, owned: _Owned[S, P]) -> None:
        for entry in owned.pending:
            if entry.ticket is not None:
                entry.ticket.void = True
            self._pending -= 1
            self._pending_bytes -= len(entry.record.value or b"")
        owned.pending.clear()

    def _seek(self, partition: Partition[S, P]) -> None:
        target = TopicPartition(self._processor.input_topic, partition.number, partition.committed_offset)
        for pause in (0.01, 0.05, 0.1, 0.2, 0.5, 1.0):
            try:
                self._consumer.seek(target)
                return
            except KafkaException as exception:
                # The fetcher of a partition that was just assigned or paused may not be ready yet.
                if error_of(exception).code() != KafkaError._STATE:
                    raise
                time.sleep(pause)
        self._consumer.seek(target)

    def _start_afresh(self) -> None:
        """The producer is gone: hear from the group first, then take a new one and restore what is still ours."""
        self._lost_producer = False
        self._losses.append(time.monotonic())
        if len(self._losses) == _LOSSES and self._losses[-1] - self._losses[0] < _LOSSES_WITHIN_S:
            raise self._fenced()
        ours = sorted(self._owned)
        for number in ours:
            owned = self._owned.pop(number)
            self._drop_pending(owned)
            self._kept.pop(number, None)
            owned.partition.store.close()
        # A zombie learns here that its partitions went to others, before it asks for anything in their name.
        self._accept(self._consumer.consume(1, 0.1))
        if self._failure is not None:
            raise self._failure
        self._open_producer()
        assigned = {held.partition for held in self._consumer.assignment()}
        for number in ours:
            if number in assigned and number not in self._owned:
                self._hold([TopicPartition(self._processor.input_topic, number)])
                self._restorer.begin(number)

    # -- rebalance ---------------------------------------------------

    def _hold(self, partitions: list[TopicPartition]) -> None:
        self._consumer.pause(partitions)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            # An explicit offset: without one the client would look for the committed offset and fetch from it.
            for partition in partitions:
                partition.offset = 0
            consumer.assign(partitions)
            consumer.pause(partitions)
            numbers = {partition.partition for partition in partitions}
            for number in list(self._kept):
                kept = self._kept.pop(number)
                if number in numbers:
                    self._restorer.begin(number, kept.store, kept.committed_offset)
                else:
                    kept.store.close()
            for number in numbers:
                if not self._restorer.has(number):
                    self._restorer.begin(number)
            _log.info("assigned", role=self._processor.role, partitions=sorted(numbers))
        except Exception as error:
            self._failure = error

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            if not self._lost_producer:
                self._commit()
            self._release(partitions, keep=not self._lost_producer)
            _log.info("revoked", role=self._processor.role, partitions=sorted(p.partition for p in partitions))
        except Exception as error:
            self._failure = error

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._release(partitions, keep=False)
            _log.warning("lost", role=self._processor.role, partitions=sorted(p.partition for p in partitions))
        except Exception as error:
            self._failure = error

    def _release(self, partitions: list[TopicPartition], keep: bool) -> None:
        for partition in partitions:
            number = partition.partition
            self._restorer.forget(number)
            owned = self._owned.pop(number, None)
            if owned is None:
                continue
            self._drop_pending(owned)
            if keep:
                self._kept[number] = owned.partition
            else:
                owned.partition.store.close()

    def _take_up(self, restored: Restored) -> None:
        """A partition is ready: fold on from its committed offset."""
        partition = Partition(
            restored.partition,
            self._processor,
            restored.store,
            self._dead_letters,
            self._settings.max_output_bytes,
            self._settings.cached_states,
        )
        partition.begin(restored.position, restored.offset)
        self._owned[restored.partition] = _Owned(partition, Guard(self._settings))
        self._seek(partition)
        self._consumer.resume([TopicPartition(self._processor.input_topic, restored.partition)])
        self._metrics.restored.labels(self._processor.role, restored.partition).inc(restored.records)
        _log.info(
            "restored",
            role=self._processor.role,
            partition=restored.partition,
            offset=restored.offset,
            records=restored.records,
            seconds=round(restored.seconds, 3),
        )

    # -- housekeeping ------------------------------------------------

    def _keep_house(self, now: float) -> None:
        resume = self._resume.is_set()
        if resume:
            self._resume.clear()
        for owned in self._owned.values():
            self._watch(owned, now, resume)
            if not owned.guard.tripped and owned.caught_up and not owned.pending:
                self._write_tick(owned, now)
            self._write_signal(owned, now)
            self._count(owned)
        role = self._processor.role
        self._metrics.pending.labels(role).set(self._pending)
        if self._stage is not None:
            self._metrics.in_flight.labels(role).set(self._stage.in_flight)

    def _watch(self, owned: _Owned[S, P], now: float, resume: bool) -> None:
        partition, guard = owned.partition, owned.guard
        held = [TopicPartition(self._processor.input_topic, partition.number)]
        if resume and guard.tripped:
            _log.warning("resumed", role=self._processor.role, partition=partition.number)
            guard.reset()
            self._consumer.resume(held)
        if guard.look(now, partition.folded + partition.dead, partition.dead, partition.quarantined):
            _log.error("paused", role=self._processor.role, partition=partition.number, reason=guard.tripped)
            self._commit_now = True
            # What was folded is committed with the reason in its metadata, where `tidemark status` finds it.
            partition.note()
            self._consumer.pause(held)

    def _write_tick(self, owned: _Owned[S, P], now: float) -> None:
        partition, settings = owned.partition, self._settings
        if (
            partition.last_append_time - partition.last_event_time > settings.live_within_ms
            or not partition.last_append_time
        ):
            return
        if (now - owned.last_record) * 1000 < settings.tick_interval_ms:
            return
        moment = int(time.time() * 1000) - settings.tick_delay_ms
        if moment <= partition.context.time:
            return
        tick = self._processor.tick(moment)
        if tick is not None:
            value, headers = tick
            self._emit_own(owned, value, headers)
            owned.last_record = now

    def _write_signal(self, owned: _Owned[S, P], now: float) -> None:
        stage = self._processor.stage
        if stage is None or not owned.partition.timers.waiting or now - owned.signalled < _SIGNAL_PAUSE_S:
            return
        if not stage.recovered():
            return
        signal = self._processor.signal(owned.partition.context.time)
        if signal is not None:
            value, headers = signal
            self._emit_own(owned, value, headers)
            owned.signalled = now

    def _emit_own(self, owned: _Owned[S, P], value: bytes, headers: Any) -> None:
        output = OutputRecord(self._processor.input_topic, None, value, headers, owned.partition.number)
        owned.partition.context.outputs.append(output)
        self._commit_now = True

    def _count(self, owned: _Owned[S, P]) -> None:
        partition = owned.partition
        labels = (self._processor.role, partition.number)
        records, dead, timers = owned.counted
        now = (partition.folded + partition.dead, partition.dead, partition.timers_fired)
        self._metrics.records.labels(*labels).inc(max(now[0] - records, 0))
        self._metrics.dead_letters.labels(*labels).inc(max(now[1] - dead, 0))
        self._metrics.timers.labels(*labels).inc(max(now[2] - timers, 0))
        owned.counted = now
        self._metrics.states.labels(*labels).set(len(partition.timers))
        self._metrics.time.labels(*labels).set(partition.context.time / 1000)
        self._metrics.paused.labels(*labels).set(1 if owned.guard.tripped else 0)

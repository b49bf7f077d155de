"""The loop: take records in, fold what is ready, commit, and survive whatever Kafka answers.

One worker runs one processor over the partitions that the consumer group gives it. All of it happens on one thread,
but for the stage's event loop; whoever wants the worker to stop calls ``stop`` from wherever they are.
"""

import gc
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final, Generic, TypeVar

import structlog
from confluent_kafka import Consumer
from prometheus_client import CollectorRegistry

from stream.engine.clients import Properties, check_properties, make_admin, make_consumer, make_producer
from stream.engine.cluster import check_fold, check_topics
from stream.engine.commits import Commits
from stream.engine.contact import ConsumerLost, Contact
from stream.engine.fencing import Fencing
from stream.engine.holdings import Held, Holdings
from stream.engine.intake import ConsumerFenced, Intake
from stream.engine.membership import Membership
from stream.engine.metrics import EngineMetrics
from stream.engine.processor import Processor
from stream.engine.restore import Restorer
from stream.engine.settings import EngineSettings
from stream.engine.stage import StageRunner
from stream.engine.steps import DeadLetters
from stream.engine.stores.store import StoreFactory
from stream.engine.transactions import GivenUp, Transactions, initialised
from stream.engine.until import Until
from stream.engine.upkeep import Upkeep

S = TypeVar("S")
P = TypeVar("P")

MakeTransactions = Callable[[Any, str, Callable[[], bool]], Transactions]

_STOP_PATIENCE_S: Final = 20.0

_log = structlog.get_logger(__name__)


class Worker(Generic[S, P]):
    """Runs a processor until it is told to stop.

    Args:
        processor: what to run.
        kafka: client properties that all clients share, ``bootstrap.servers`` among them.
        instance: name that outlives the process; see ``Instance``.
        dead_letters: makes the dead letter of a refused record.
        make_transactions: tests place faults between the steps of a commit with their own.
        consumer_properties, producer_properties: librdkafka properties of these clients alone.
        until: the worker stops by itself when it has folded, of each partition, what lies before this offset; it has to
            have all partitions for that, so no other may run in its group. None: it never does.

    Attributes:
        held_back: set by any thread: take nothing in for now, and finish what was taken in.

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
        until: Mapping[int, int] | None = None,
    ) -> None:
        for properties in (kafka, consumer_properties or {}, producer_properties or {}):
            check_properties(properties)
        self.group = processor.group
        self.held_back = False
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
        self._holdings: Holdings[S, P] = Holdings(processor.input_topic)
        self._stage: StageRunner[P] | None = None
        self._restorer: Restorer | None = None
        self._consumer: Consumer | None = None
        self._transactions: Transactions | None = None
        self._stopping = threading.Event()
        self._stop_by = 0.0
        self._leaves_since = 0.0
        self._resume = threading.Event()
        self._until = None if until is None else Until(until)

    def stop(self) -> None:
        """Finish gracefully: commit what is folded, leave, return from ``run``. A signal handler may call it."""
        self._stop_by = time.monotonic() + _STOP_PATIENCE_S
        self._stopping.set()

    def resume(self) -> None:
        """Let partitions go on that were paused because most of their input was bad."""
        self._resume.set()

    def folded(self) -> dict[int, int]:
        """Offset of the next record to fold, by partition, of those that are held. For any thread."""
        return {number: held.partition.next_offset for number, held in list(self._holdings.held.items())}

    @property
    def partitions(self) -> list[int]:
        """Those that are held and restored."""
        return sorted(self._holdings.held)

    @property
    def deepest_in_flight(self) -> int:
        """The most batches that were with the stage at once."""
        return self._stage.deepest if self._stage is not None else 0

    @property
    def waits_for(self) -> float:
        """Seconds for which the present call of a transaction, or of leaving the group, has lasted; 0.0 between calls.
        For any thread."""
        since = self._leaves_since or (self._transactions.waiting_since if self._transactions is not None else 0.0)
        return time.monotonic() - since if since else 0.0

    def run(self) -> None:
        """Work until ``stop``.

        Raises:
            StateLost: state and offsets do not belong together; the message names the command that repairs it.
            FoldChanged: the state was made by another fold; the message names the command that folds the log anew.
            WorkerFenced: another live worker has the same instance name.
            NewerState: the state was written by a newer version.
            TopicMismatch: topics are missing or do not fit together.
            DeadLetterRefused: the broker takes not even the dead letter of a bad record.
        """
        # Most objects die young, and what lives long is much: collect seldom, and leave alone what start-up has made.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        try:
            self._open()
            _log.info("worker started", role=self._processor.role, instance=self._instance)
            while not self._worked():
                self._fencing.consumer_fenced()
                self._leave()
                self._upkeep.close()
                self._join()
        except GivenUp:
            _log.warning("stopped while Kafka was not answering: the broker will abort the open transaction")
        finally:
            self._close()

    def _worked(self) -> bool:
        """Work until told to stop. False: another consumer is needed."""
        try:
            while not self._stopping.is_set():
                self._step()
            self._commits.commit()
            self._intake.hear()
        except (ConsumerFenced, ConsumerLost) as error:
            _log.warning("joining the group anew", role=self._processor.role, error=str(error))
            return False
        return True

    def _open(self) -> None:
        processor = self._processor
        admin = make_admin(self._kafka)
        self._checked = check_topics(admin, processor, self._keep_trying)
        check_fold(self._kafka, processor, self._checked.partitions, self._keep_trying)
        self._metrics.partitions.labels(processor.role).set(self._checked.partitions)
        self._fencing = Fencing(self._kafka, processor.role, self.group, self._instance, self._keep_trying)
        if processor.stage is not None:
            self._stage = StageRunner(processor.stage)
        self._join()

    def _join(self) -> None:
        """New clients, and what works through them."""
        processor, settings, holdings = self._processor, self._settings, self._holdings
        self._restorer = Restorer(self._kafka, self.group, processor, settings, self._stores, self._checked.stamp)
        transactions = self._open_transactions()
        extra = self._consumer_properties
        consumer = self._consumer = make_consumer(self._kafka, settings, self.group, self._instance, extra)
        contact = Contact(self._kafka, processor.input_topic)
        self._intake = Intake(consumer, processor, holdings, settings, self._stage, contact, self._until)
        self._commits = Commits(consumer, processor, holdings, transactions, self._metrics, self._instance)
        self._upkeep = Upkeep(consumer, processor, holdings, settings, self._stage, self._metrics, self._restorer)
        self._membership = Membership(
            consumer,
            processor,
            holdings,
            self._restorer,
            self._commits,
            self._dead_letters,
            settings,
            self._metrics,
            self._checked.partitions,
            self._fencing,
        )
        self._membership.join()

    def _open_transactions(self) -> Transactions:
        """A new producer: it fences an older one of the same name and aborts what that one left open."""
        transactional_id = f"{self.group}.{self._instance}"
        producer = initialised(
            lambda: make_producer(self._kafka, self._settings, transactional_id, self._producer_properties),
            self._keep_trying,
        )
        self._transactions = self._make_transactions(producer, self._processor.changelog_topic, self._keep_trying)
        return self._transactions

    def _leave(self) -> None:
        """Let go of what ``_join`` has made, and of the partitions."""
        with ExitStack() as stack:
            if self._consumer is not None:
                # Last: leaving the group calls back, and what is not committed by then must not be any more.
                stack.callback(self._close_consumer, self._consumer)
            stack.callback(self._holdings.close)
            if self._restorer is not None:
                stack.callback(self._restorer.close)
            if self._transactions is not None:
                stack.callback(self._transactions.close)
        self._consumer = self._transactions = None

    def _close_consumer(self, consumer: Consumer) -> None:
        self._leaves_since = time.monotonic()
        consumer.close()
        self._leaves_since = 0.0

    def _close(self) -> None:
        with ExitStack() as stack:
            stack.callback(_log.info, "worker stopped", role=self._processor.role, instance=self._instance)
            stack.callback(self._leave)
            if self._stage is not None:
                stack.callback(self._stage.close)

    def _keep_trying(self) -> bool:
        return not self._stopping.is_set() or time.monotonic() < self._stop_by

    def _step(self) -> None:
        self._membership.restore_step()
        self._intake.held_back = self.held_back
        self._intake.take_in()
        commit = self._fold_ready()
        commit |= self._upkeep.look(self._resume.is_set())
        self._resume.clear()
        if (
            commit
            or (time.monotonic() - self._commits.last) * 1000 >= self._commit_interval_ms()
            or self._holdings.uncommitted() >= self._settings.max_uncommitted_records
        ):
            self._commits.commit()
        if self._commits.producer_lost:
            self._start_afresh()
        elif self._commits.producer_spent:
            self._replace_producer()
        elif self._intake.at_end(self._checked.partitions):
            self._stopping.set()

    def _commit_interval_ms(self) -> int:
        settings = self._settings
        in_backlog = settings.backlog_commit_interval_ms if self._intake.backlog else 0
        return max(settings.commit_interval_ms, in_backlog)

    def _fold_ready(self) -> bool:
        """Fold what is ready, partition by partition in offset order. True when a commit should not wait."""
        suspect = self._holdings.suspect()
        if suspect is not None:
            self._fold(suspect, suspect.search.steps)
            return suspect.partition.uncommitted > 0
        commit = False
        for held in self._holdings.held.values():
            if not held.guard.tripped:
                commit |= self._fold(held, sys.maxsize)
        return commit

    def _fold(self, held: Held[S, P], most: int) -> bool:
        """Fold what is ready of a partition. True when it stopped before the end, after ``most`` steps or too many
        timers."""
        pending, partition = held.pending, held.partition
        timers = self._settings.timers_per_step
        count = size = 0
        stopped = False
        while pending:
            entry = pending[0]
            if entry.ticket is not None and not entry.ticket.done:
                break
            budget = min(timers, most - partition.uncommitted)
            stopped = budget <= 0 or not partition.process(entry, budget)
            if stopped:
                break
            pending.popleft()
            count += 1
            size += entry.size
        self._holdings.pending -= count
        self._holdings.pending_bytes -= size
        return stopped

    def _start_afresh(self) -> None:
        """The producer is gone: hear from the group first, then take a new one and restore what is still ours."""
        self._fencing.producer_lost()
        numbers = self._membership.restore_again()
        # A zombie learns here that its partitions went to others, before it does anything in their name.
        self._intake.take_in()
        self._replace_producer()
        self._membership.restore(numbers)

    def _replace_producer(self) -> None:
        # Gone before the new one begins: one that lived on was seen to raise its epoch once more and so to fence it.
        self._commits.transactions.close()
        self._transactions = None
        self._commits.transactions = self._open_transactions()
        self._commits.producer_lost = self._commits.producer_spent = False

"""Commits what the held partitions have folded, and puts them back where a commit fails.

An error that the transaction survives is an abort: every partition goes back to its last commit and is read again
from there. One that the producer does not survive is left to the worker, which takes a new producer and restores
everything. When the broker refuses a record, the step that made it is searched for and buried.
"""

import json
import time
from typing import Final, Generic, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream.engine.clients import error_of
from stream.engine.cluster import FOLD_FACT
from stream.engine.holdings import Held, Holdings, seek_to_committed
from stream.engine.intake import ConsumerFenced
from stream.engine.metrics import EngineMetrics
from stream.engine.position import POSITION_KEY, encode_position
from stream.engine.processor import Processor
from stream.engine.transactions import PartitionCommit, Transactions

S = TypeVar("S")
P = TypeVar("P")

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


class DeadLetterRefused(RuntimeError):
    """The broker refuses a dead letter, so that a bad record can neither be folded nor be put aside."""


class Commits(Generic[S, P]):
    """Commits for one worker.

    Attributes:
        transactions: through which to commit; replaced when the producer was lost.
        producer_lost: the producer is of no use any more, and nobody knows how its last transaction ended.
        producer_spent: the producer is of no use any more, and its last transaction is aborted.
        last: monotonic seconds of the last look at whether there is something to commit.
    """

    def __init__(
        self,
        consumer: Consumer,
        processor: Processor[S, P],
        holdings: Holdings[S, P],
        transactions: Transactions,
        metrics: EngineMetrics,
        instance: str,
    ) -> None:
        self.transactions = transactions
        self.producer_lost = False
        self.producer_spent = False
        self.last = time.monotonic()
        self._consumer = consumer
        self._processor = processor
        self._holdings = holdings
        self._metrics = metrics
        self._instance = instance

    def commit(self) -> None:
        """Commit everything that is folded, in one transaction.

        Raises:
            ConsumerFenced: another member of the group has taken this one's name.
            DeadLetterRefused: a record cannot be put aside; the message says what to set.
            GivenUp: the worker is to end and Kafka does not answer.
        """
        self.last = time.monotonic()
        dirty = [held for held in self._holdings.held.values() if held.partition.dirty]
        if not dirty or self.producer_lost or self.producer_spent:
            return
        work = []
        offsets: list[TopicPartition] = []
        for held in dirty:
            partition = held.partition
            changes, position = partition.changes()
            commit = PartitionCommit(partition.number, changes.items(), (POSITION_KEY, encode_position(position)))
            work.append((partition, commit, changes, position))
            facts = self._facts(held, position.time)
            offsets.append(TopicPartition(self._processor.input_topic, partition.number, position.offset, facts))
        outputs = [partition.context.outputs for partition, *_ in work]
        count = sum(map(len, outputs))
        try:
            group = self._consumer.consumer_group_metadata()
            self.transactions.commit(outputs, [commit for _, commit, _, _ in work], offsets, group)
        except KafkaException as exception:
            self._recover(exception, dirty)
            return
        for partition, commit, changes, position in work:
            partition.committed(changes, position, commit.changelog_offset)
        for held in dirty:
            if held.search.steps:
                held.search.passed(held.partition.committed_offset)
        role = self._processor.role
        self._metrics.outputs.labels(role).inc(count)
        self._metrics.commit_seconds.labels(role).observe(time.monotonic() - self.last)

    def _facts(self, held: Held[S, P], partition_time: int) -> str:
        """What `tidemark status` and workers that start read from the committed offset's metadata, as JSON."""
        facts: dict[str, str | int] = {
            "at": int(time.time() * 1000),
            "time": partition_time,
            "instance": self._instance,
            FOLD_FACT: self._processor.fold_version,
            **self._processor.worth_noting(),
        }
        if held.guard.tripped:
            facts["paused"] = held.guard.tripped
        return json.dumps(facts, separators=(",", ":"))

    def _recover(self, exception: KafkaException, dirty: list[Held[S, P]]) -> None:
        error = error_of(exception)
        role = self._processor.role
        _log.warning("transaction failed", role=role, error=str(error), fatal=error.fatal())
        self._metrics.aborts.labels(role, error.name()).inc()
        if error.code() == KafkaError.FENCED_INSTANCE_ID:
            raise ConsumerFenced(str(error)) from exception
        if error.fatal():
            self.producer_lost = True
            return
        try:
            self.transactions.abort()
        except KafkaException as second:
            _log.warning("abort failed", role=role, error=str(error_of(second)))
            self.producer_lost = True
            return
        if error.code() in _RECORD_FAULTS:
            # The sequence numbers of what was refused are missing: librdkafka's next transactions were seen to fail on
            # the gap (OUT_OF_ORDER_SEQUENCE_NUMBER), one after the other.
            self.producer_spent = True
            self._search([held for held in dirty if held.partition.uncommitted], error)
        for held in self._holdings.held.values():
            self._put_back(held)

    def _search(self, suspects: list[Held[S, P]], error: KafkaError) -> None:
        for held in suspects:
            partition = held.partition
            # Where only timers have fired, the record that moved time is still to come.
            until = max(partition.next_offset, partition.committed_offset + 1)
            guilty = held.search.refused(partition.uncommitted, until, alone=len(suspects) == 1)
            if guilty and not partition.condemn():
                raise DeadLetterRefused(
                    f"{self._processor.input_topic}[{partition.number}] at offset {partition.committed_offset}: the "
                    f"broker refuses what the record makes, and its dead letter too ({error}): set max.message.bytes "
                    f"of {self._processor.dead_letter_topic} to 1048588 or more"
                )

    def _put_back(self, held: Held[S, P]) -> None:
        """Back to the last commit, and read on from there."""
        held.partition.roll_back()
        self._holdings.drop_pending(held)
        seek_to_committed(self._consumer, self._processor.input_topic, held.partition)

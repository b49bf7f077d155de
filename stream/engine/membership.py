"""What happens when the group gives partitions and takes them away.

Nothing long is done inside a callback, or the group would lose us: partitions that come are paused and queued for a
restore, and those that go are committed and set aside.
"""

from typing import Generic, TypeVar

import structlog
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from stream.engine.cluster import TopicMismatch
from stream.engine.commits import Commits
from stream.engine.fencing import Fencing
from stream.engine.holdings import Held, Holdings, seek_to_committed
from stream.engine.metrics import EngineMetrics
from stream.engine.partition import Partition
from stream.engine.processor import Processor
from stream.engine.restore import Restored, Restorer
from stream.engine.settings import EngineSettings
from stream.engine.steps import DeadLetters

S = TypeVar("S")
P = TypeVar("P")

_log = structlog.get_logger(__name__)


class Membership(Generic[S, P]):
    """The worker's side of the consumer group.

    Args:
        partitions: of the changelog, and so of the input.
        fencing: told under which name the group knows this member.

    Attributes:
        failure: what went wrong inside a callback, where nothing may be raised; the loop raises it.
    """

    def __init__(
        self,
        consumer: Consumer,
        processor: Processor[S, P],
        holdings: Holdings[S, P],
        restorer: Restorer,
        commits: Commits[S, P],
        dead_letters: DeadLetters,
        settings: EngineSettings,
        metrics: EngineMetrics,
        partitions: int,
        fencing: Fencing,
    ) -> None:
        self.failure: Exception | None = None
        self._consumer = consumer
        self._processor = processor
        self._holdings = holdings
        self._restorer = restorer
        self._commits = commits
        self._dead_letters = dead_letters
        self._settings = settings
        self._metrics = metrics
        self._partitions = partitions
        self._fencing = fencing
        self._searching: set[int] = set()

    def join(self) -> None:
        # subscribe() and never assign(): a member that is assigned by hand is not fenced.
        self._consumer.subscribe(
            [self._processor.input_topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def restore_step(self) -> None:
        """Let restores go on for a moment, and take up what is ready.

        Raises:
            Exception: what failed inside a callback.
            StateLost: state and offset of a partition do not belong together.
            TopicMismatch: the input topic has got more partitions than the changelog.
        """
        if self.failure is not None:
            raise self.failure
        if self._restorer:
            located = self._holdings.located
            for number in self._searching & located:
                # What it fetches from there is not wanted before the restore is over.
                self._consumer.pause(self._holdings.at(number))
            self._searching -= located
            for restored in self._restorer.step(located):
                self._take_up(restored)

    def restore_again(self) -> list[int]:
        """Set every partition held aside; ``restore`` brings back those that are still ours afterwards."""
        numbers = sorted(self._holdings.held)
        self._holdings.release(numbers, keep=True)
        return numbers

    def restore(self, numbers: list[int]) -> None:
        """Restore those of ``numbers`` that the group still gives us and that are not on their way already."""
        assigned = {held.partition for held in self._consumer.assignment()}
        for number in numbers:
            if number in assigned and number not in self._holdings.held and not self._restorer.has(number):
                self._consumer.pause(self._holdings.at(number))
                self._restorer.begin(number, self._holdings.kept.pop(number, None))

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._fencing.joined(consumer)
            numbers = sorted(partition.partition for partition in partitions)
            self._check_count(numbers)
            for partition in partitions:
                # Explicit, or the client would look for the committed offset and fetch from it; and one that every log
                # has: the fetcher of a log whose offset 0 is deleted was seen to die. The seek comes with the restored
                # offset, once the fetcher has found the end: until then it runs, and what it brings is dropped.
                partition.offset = OFFSET_END
            self._holdings.located.difference_update(numbers)
            self._searching.update(numbers)
            if self._settings.group_protocol == "classic":
                consumer.assign(partitions)
            else:
                consumer.incremental_assign(partitions)
            # One that was taken away while it was paused would stay so, and never be heard of.
            consumer.resume(partitions)
            kept, self._holdings.kept = self._holdings.kept, {}
            for number in numbers:
                self._restorer.begin(number, kept.pop(number, None))
            for store in kept.values():
                store.close()
            _log.info("assigned", role=self._processor.role, partitions=numbers)
        except Exception as error:
            self.failure = error

    def _check_count(self, numbers: list[int]) -> None:
        if numbers and numbers[-1] >= self._partitions:
            raise TopicMismatch(
                f"topic {self._processor.input_topic} has got more partitions, and "
                f"{self._processor.changelog_topic} has {self._partitions}: keys have moved to other partitions than "
                f"their state. Fold the log anew: docs/operations.md says how"
            )

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._commits.commit()
            self._let_go(partitions, keep=not self._commits.producer_lost)
        except Exception as error:
            self.failure = error

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._let_go(partitions, keep=False)
        except Exception as error:
            self.failure = error

    def _let_go(self, partitions: list[TopicPartition], keep: bool) -> None:
        numbers = sorted(partition.partition for partition in partitions)
        self._searching.difference_update(numbers)
        self._holdings.release(numbers, keep)
        for number in numbers:
            store = self._restorer.give_up(number)
            if store is not None and keep:
                self._holdings.kept[number] = store
            elif store is not None:
                store.close()
        _log.info("revoked" if keep else "lost", role=self._processor.role, partitions=numbers)

    def _take_up(self, restored: Restored) -> None:
        """A partition is ready: fold on from its committed offset."""
        settings = self._settings
        partition = Partition(
            restored.partition,
            self._processor,
            restored.store,
            self._dead_letters,
            settings.max_output_bytes,
            settings.cached_states,
            settings.fast_path,
        )
        partition.begin(restored.position, restored.offset)
        # Counted first: whoever sees the partition held may ask how it came to be.
        self._metrics.restored.labels(self._processor.role, restored.partition).inc(restored.records)
        self._holdings.held[restored.partition] = Held(partition, settings)
        seek_to_committed(self._consumer, self._processor.input_topic, partition)
        self._consumer.resume(self._holdings.at(restored.partition))
        _log.info(
            "restored",
            role=self._processor.role,
            partition=restored.partition,
            offset=restored.offset,
            records=restored.records,
            seconds=round(restored.seconds, 3),
        )

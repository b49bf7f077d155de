"""The partitions that a worker holds, and the records taken in for them that are not folded yet.

Shared by the loop's parts (intake, commits, membership, upkeep), which all run on the worker's thread.
"""

import time
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream.engine.clients import error_of
from stream.engine.culprit import CulpritSearch
from stream.engine.entries import Entry
from stream.engine.guard import Guard
from stream.engine.partition import Partition
from stream.engine.settings import EngineSettings
from stream.engine.stores.store import Store

S = TypeVar("S")
P = TypeVar("P")


class Held(Generic[S, P]):
    """A partition that is ours and restored.

    Attributes:
        pending: records taken in and not folded, in offset order.
        caught_up: whether the log had nothing more at the last fetch.
        last_record, signalled: monotonic seconds of the newest record and of the last signal written.
        search: for a record whose outputs the broker refuses.
        folded_until: epoch seconds; what was appended before is folded and committed. 0.0: nobody knows yet.
    """

    def __init__(self, partition: Partition[S, P], settings: EngineSettings) -> None:
        self.partition = partition
        self.guard = Guard(settings, time.monotonic())
        self.pending: deque[Entry[P]] = deque()
        self.caught_up = False
        self.last_record = time.monotonic()
        self.signalled = 0.0
        self.search = CulpritSearch()
        self.folded_until = 0.0

    def look(self, now: float) -> None:
        """Move ``folded_until`` on, at ``now`` (epoch seconds)."""
        # A paused partition is told of no record, and so not of the end of the log either.
        if self.caught_up and not self.pending and not self.partition.dirty and not self.guard.tripped:
            self.folded_until = now
        else:
            self.folded_until = max(self.folded_until, self.partition.appended / 1000)


class Holdings(Generic[S, P]):
    """What a worker holds.

    Attributes:
        held: by partition number.
        kept: stores of partitions that were taken away and may come back; what others have written to the changelog
            meanwhile is all that they lack.
        located: partitions whose fetcher has been heard of since they were assigned. Before that it is looking for the
            end of the log, and would go there whatever it was told meanwhile (librdkafka's issue 2256).
        pending, pending_bytes: over all partitions.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.held: dict[int, Held[S, P]] = {}
        self.kept: dict[int, Store] = {}
        self.located: set[int] = set()
        self.pending = 0
        self.pending_bytes = 0

    def drop_pending(self, held: Held[S, P]) -> None:
        """Forget what is not folded; answers that still come for it are void."""
        for entry in held.pending:
            if entry.ticket is not None:
                entry.ticket.void = True
            self.pending -= 1
            self.pending_bytes -= entry.size
        held.pending.clear()

    def release(self, numbers: Iterable[int], keep: bool) -> None:
        """Partitions are taken away; ``keep`` the stores of those that may come back."""
        for number in numbers:
            held = self.held.pop(number, None)
            if held is None:
                continue
            self.drop_pending(held)
            if keep:
                self.kept[number] = held.partition.store
            else:
                held.partition.store.close()

    def suspect(self) -> Held[S, P] | None:
        """A partition in which a culprit is searched: until it is found, nothing else is to be folded."""
        return next((held for held in self.held.values() if held.search.steps and not held.guard.tripped), None)

    def uncommitted(self) -> int:
        return sum(held.partition.uncommitted for held in self.held.values())

    def at(self, number: int) -> list[TopicPartition]:
        """The partition in the client's words."""
        return [TopicPartition(self.topic, number)]

    def close(self) -> None:
        self.release(list(self.held), keep=False)
        for kept in self.kept.values():
            kept.close()
        self.kept.clear()


def seek_to_committed(consumer: Consumer, topic: str, partition: Partition[S, P]) -> None:
    """Read on from the partition's last commit."""
    target = TopicPartition(topic, partition.number, partition.committed_offset)
    for pause in (0.01, 0.05, 0.1, 0.2, 0.5, 1.0):
        try:
            consumer.seek(target)
            return
        except KafkaException as exception:
            # The fetcher of a partition that was just assigned may not be ready yet.
            if error_of(exception).code() != KafkaError._STATE:
                raise
            time.sleep(pause)
    consumer.seek(target)

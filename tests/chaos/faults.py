"""Where a worker can be struck inside a commit, and the transactions that do it.

The harness writes one line to a worker's standard input, such as ``die offsets_sent 3``: die at the third commit from
now, after the offsets were sent; with ``freeze`` it stops as by SIGSTOP, and goes on from there at SIGCONT. Used by
``worker.py`` in the child and by ``crew.py`` in the harness.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, Literal, get_args

from confluent_kafka import Producer, TopicPartition

from stream.engine.processor import OutputRecord
from stream.engine.transactions import PartitionCommit, Transactions

Site = Literal["begun", "half_produced", "produced", "offsets_sent", "completing", "completed"]
"""The last thing that a worker did in the transaction in which it is struck."""

SITES: Final[tuple[Site, ...]] = get_args(Site)

Blow = Literal["die", "freeze"]

_FLUSH_S: Final = 10.0
_COMPLETING_MS: Final = 8.0
"""A commit takes about 5 ms on one broker: a moment below this lies before, in the middle of, or after it."""


def die() -> None:
    """End as ``kill -9`` does: nothing is flushed, closed or said."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def freeze() -> None:
    """Stop with all threads, librdkafka's too, until somebody sends SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


_BLOWS: Final[dict[Blow, Callable[[], None]]] = {"die": die, "freeze": freeze}


class Fault:
    """What strikes the worker, and where; armed from another thread than the one that commits."""

    def __init__(self) -> None:
        self._site: Site | None = None
        self._commits = 0
        self._blow: Blow = "die"

    def arm(self, blow: Blow, site: Site, commits: int) -> None:
        """Strike at ``site`` of the ``commits``-th transaction from now."""
        self._commits = commits
        self._blow = blow
        self._site = site

    def begin(self) -> Site | None:
        """A transaction begins: the site at which to strike in it, or None."""
        if self._site is None:
            return None
        self._commits -= 1
        if self._commits > 0:
            return None
        site, self._site = self._site, None
        return site

    def strike(self) -> None:
        _BLOWS[self._blow]()


class StruckTransactions(Transactions):
    """Transactions in which the process is struck where the fault says so."""

    def __init__(self, producer: Producer, changelog_topic: str, keep_trying: Callable[[], bool], fault: Fault) -> None:
        super().__init__(producer, changelog_topic, keep_trying)
        self._struck_producer = producer
        self._fault = fault
        self._site: Site | None = None

    def commit(
        self,
        outputs: Sequence[Sequence[OutputRecord]],
        partitions: Sequence[PartitionCommit],
        offsets: list[TopicPartition],
        group_metadata: Any,
    ) -> None:
        self._site = self._fault.begin()
        super().commit(outputs, partitions, offsets, group_metadata)

    def produce(self, outputs: Sequence[Sequence[OutputRecord]], partitions: Sequence[PartitionCommit]) -> None:
        self._strike_at("begun")
        if self._site == "half_produced":
            half = [len(records) // 2 for records in outputs]
            super().produce([records[:middle] for records, middle in zip(outputs, half, strict=True)], ())
            self._strike_written()
            outputs = [records[middle:] for records, middle in zip(outputs, half, strict=True)]
        super().produce(outputs, partitions)
        if self._site == "produced":
            self._strike_written()

    def send_offsets(self, offsets: list[TopicPartition], group_metadata: Any) -> None:
        super().send_offsets(offsets, group_metadata)
        self._strike_at("offsets_sent")

    def complete(self) -> None:
        if self._site == "completing":
            threading.Timer(Random().uniform(0, _COMPLETING_MS) / 1000, self._fault.strike).start()
        super().complete()
        self._strike_at("completed")

    def close(self) -> None:
        del self._struck_producer
        super().close()

    def _strike_at(self, site: Site) -> None:
        if self._site == site:
            self._fault.strike()

    def _strike_written(self) -> None:
        # Records that never left the process would be no test of the broker's side of an open transaction.
        self._struck_producer.flush(_FLUSH_S)
        self._fault.strike()

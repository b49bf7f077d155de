"""What a worker does beside folding, a few times a second: watch for bad input, write ticks and signals, count.

Here, and in the engine's commit intervals, is the only place where the wall clock meets the data: it becomes a record
in the log (a tick) before any processor can see it.
"""

import time
from typing import Final, Generic, TypeVar

import structlog
from confluent_kafka import Consumer

from stream.contracts.emission import Headers
from stream.engine.holdings import Held, Holdings, seek_to_committed
from stream.engine.metrics import EngineMetrics
from stream.engine.processor import OutputRecord, Processor
from stream.engine.restore import Restorer
from stream.engine.settings import EngineSettings
from stream.engine.stage import StageRunner

S = TypeVar("S")
P = TypeVar("P")

PERIOD_S: Final = 0.25
_SIGNAL_PAUSE_S: Final = 2.0
"""Time for a signal to come back from the log before another is written."""

_log = structlog.get_logger(__name__)


class Upkeep(Generic[S, P]):
    """Looks after the held partitions."""

    def __init__(
        self,
        consumer: Consumer,
        processor: Processor[S, P],
        holdings: Holdings[S, P],
        settings: EngineSettings,
        stage: StageRunner[P] | None,
        metrics: EngineMetrics,
        restorer: Restorer,
    ) -> None:
        self._consumer = consumer
        self._processor = processor
        self._holdings = holdings
        self._settings = settings
        self._stage = stage
        self._metrics = metrics
        self._restorer = restorer
        self._counted: dict[int, tuple[int, ...]] = {}
        self._restoring: set[int] = set()
        self._next = 0.0

    def look(self, resume: bool) -> bool:
        """Do what is due. True when something was written that should be committed now.

        Args:
            resume: let partitions go on that the guard has paused.
        """
        now = time.monotonic()
        if now < self._next and not resume:
            return False
        self._next = now + PERIOD_S
        commit = False
        for held in self._holdings.held.values():
            commit |= self._watch(held, now, resume)
            commit |= self._write_tick(held, now)
            commit |= self._write_signal(held, now)
            self._count(held)
        self._count_restores()
        self._forget_released()
        role = self._processor.role
        self._metrics.pending.labels(role).set(self._holdings.pending)
        if self._stage is not None:
            self._metrics.in_flight.labels(role).set(self._stage.in_flight)
        for name, count in self._processor.counters().items():
            self._metrics.counters.labels(role, name).set(count)
        return commit

    def _watch(self, held: Held[S, P], now: float, resume: bool) -> bool:
        partition, guard, role = held.partition, held.guard, self._processor.role
        if resume and guard.tripped:
            _log.warning("resumed", role=role, partition=partition.number)
            guard.reset()
            partition.note()
            seek_to_committed(self._consumer, self._processor.input_topic, partition)
            self._consumer.resume(self._holdings.at(partition.number))
            return True
        tally = partition.tally
        if not guard.look(now, tally.records, tally.dead, tally.quarantined):
            return False
        _log.error(
            "paused: when it is put right upstream, `tidemark resume`",
            role=role,
            partition=partition.number,
            reason=guard.tripped,
        )
        # The reason travels in the commit's metadata, where `tidemark status` finds it.
        partition.note()
        self._consumer.pause(self._holdings.at(partition.number))
        # Left where it is, it would take up the room of the other partitions for as long as the pause lasts.
        self._holdings.drop_pending(held)
        return True

    def _write_tick(self, held: Held[S, P], now: float) -> bool:
        """Only a live, caught-up, idle partition gets a tick, and none that is ahead of what may still be on its
        way."""
        partition, settings = held.partition, self._settings
        if held.guard.tripped or held.pending or not held.caught_up:
            return False
        if partition.behind is None or partition.behind > settings.live_within_ms:
            return False
        if (now - held.last_record) * 1000 < settings.tick_interval_ms:
            return False
        moment = int(time.time() * 1000) - settings.tick_delay_ms
        if moment <= partition.context.time:
            return False
        held.last_record = now
        return self._write(held, self._processor.tick(moment))

    def _write_signal(self, held: Held[S, P], now: float) -> bool:
        stage = self._processor.stage
        if stage is None or not held.partition.timers.waiting or now - held.signalled < _SIGNAL_PAUSE_S:
            return False
        if not stage.recovered():
            return False
        held.signalled = now
        return self._write(held, self._processor.signal(held.partition.context.time))

    def _write(self, held: Held[S, P], record: tuple[bytes, Headers] | None) -> bool:
        if record is None:
            return False
        value, headers = record
        partition = held.partition
        partition.context.outputs.append(
            OutputRecord(self._processor.input_topic, None, value, headers, partition.number)
        )
        return True

    def _count(self, held: Held[S, P]) -> None:
        partition, metrics = held.partition, self._metrics
        labels, tally = (self._processor.role, partition.number), partition.tally
        now = (tally.records, tally.dead, tally.quarantined, tally.timers)
        before = self._counted.get(partition.number, (0,) * len(now))
        self._counted[partition.number] = now
        counters = (metrics.records, metrics.dead_letters, metrics.quarantined, metrics.timers)
        for counter, total, seen in zip(counters, now, before, strict=True):
            # A partition that was given away and came back counts from zero again.
            counter.labels(*labels).inc(total - seen if total >= seen else total)
        metrics.states.labels(*labels).set(len(partition.timers))
        metrics.time.labels(*labels).set(partition.context.time / 1000)
        metrics.paused.labels(*labels).set(1 if held.guard.tripped else 0)
        held.look(time.time())
        if held.folded_until:
            metrics.folded_until.labels(*labels).set(held.folded_until)

    def _count_restores(self) -> None:
        role, metrics = self._processor.role, self._metrics
        under_way = self._restorer.under_way()
        for restore in under_way:
            metrics.restore_started.labels(role, restore.partition).set(restore.started)
            if restore.remaining is not None:
                metrics.restore_remaining.labels(role, restore.partition).set(restore.remaining)
        numbers = {restore.partition for restore in under_way}
        for number in self._restoring - numbers:
            metrics.not_restoring(role, number)
        self._restoring = numbers

    def _forget_released(self) -> None:
        for number in self._counted.keys() - self._holdings.held.keys():
            del self._counted[number]
            self._metrics.released(self._processor.role, number)

    def close(self) -> None:
        """Nothing is held or restored any more."""
        self._forget_released()
        self._count_restores()

"""The engine's figures for Prometheus. Labels name role and partition, never a customer.

Times are epoch seconds and not ages, so that an age goes on growing while a worker's loop stands still. Counters are
kept for as long as the process lives, gauges of a partition for as long as it is here.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_COMMIT_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class EngineMetrics:
    """Counters and gauges of one worker. ``registry`` lets a test have its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("role", "partition")
        self.records = Counter("tidemark_records", "Input records folded or dead-lettered", labels, registry=registry)
        self.dead_letters = Counter("tidemark_dead_letters", "Input records refused", labels, registry=registry)
        self.quarantined = Counter(
            "tidemark_quarantined", "Dead letters because a customer's state cannot be read", labels, registry=registry
        )
        self.timers = Counter("tidemark_timers_fired", "Timers fired", labels, registry=registry)
        self.outputs = Counter("tidemark_outputs", "Output records committed", ("role",), registry=registry)
        self.aborts = Counter("tidemark_aborts", "Transactions aborted", ("role", "error"), registry=registry)
        self.restored = Counter("tidemark_restored_records", "Changelog records restored", labels, registry=registry)
        self.states = Gauge("tidemark_timers", "Timers in memory", labels, registry=registry)
        self.time = Gauge("tidemark_partition_time_seconds", "Greatest event time folded", labels, registry=registry)
        self.folded_until = Gauge(
            "tidemark_folded_until_seconds",
            "What was appended before this time is folded and committed",
            labels,
            registry=registry,
        )
        self.restore_started = Gauge(
            "tidemark_restore_started_seconds", "When the restore that is under way began", labels, registry=registry
        )
        self.restore_remaining = Gauge(
            "tidemark_restore_remaining_records",
            "Offsets of the changelog still to be read by the restore under way",
            labels,
            registry=registry,
        )
        self.partitions = Gauge(
            "tidemark_partitions", "Partitions of the role, whoever holds them", ("role",), registry=registry
        )
        self.paused = Gauge(
            "tidemark_partition_paused", "1 while the guard holds the partition", labels, registry=registry
        )
        self.pending = Gauge(
            "tidemark_pending_records", "Records taken in and not folded", ("role",), registry=registry
        )
        self.in_flight = Gauge("tidemark_stage_batches", "Batches with the stage", ("role",), registry=registry)
        self.counters = Gauge(
            "tidemark_processor_count", "What the processor counts itself", ("role", "name"), registry=registry
        )
        self.commit_seconds = Histogram(
            "tidemark_commit_seconds", "Duration of a commit", ("role",), registry=registry, buckets=_COMMIT_SECONDS
        )
        self._held_gauges = (self.states, self.time, self.folded_until, self.paused)
        self._restore_gauges = (self.restore_started, self.restore_remaining)

    def released(self, role: str, partition: int) -> None:
        """Say no more how a partition is that others may hold by now."""
        for gauge in self._held_gauges:
            gauge.remove(role, partition)

    def not_restoring(self, role: str, partition: int) -> None:
        """Say no more how far a restore is that is over or given up."""
        for gauge in self._restore_gauges:
            gauge.remove(role, partition)

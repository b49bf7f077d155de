"""The engine's figures for Prometheus. Labels name role and partition, never a customer."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_COMMIT_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class EngineMetrics:
    """Counters and gauges of one worker. ``registry`` lets a test have its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("role", "partition")
        self.records = Counter("tidemark_records", "Input records folded or dead-lettered", labels, registry=registry)
        self.dead_letters = Counter("tidemark_dead_letters", "Input records refused", labels, registry=registry)
        self.timers = Counter("tidemark_timers_fired", "Timers fired", labels, registry=registry)
        self.outputs = Counter("tidemark_outputs", "Output records committed", ("role",), registry=registry)
        self.aborts = Counter("tidemark_aborts", "Transactions aborted", ("role", "error"), registry=registry)
        self.restored = Counter("tidemark_restored_records", "Changelog records restored", labels, registry=registry)
        self.states = Gauge("tidemark_timers", "Timers in memory", labels, registry=registry)
        self.time = Gauge("tidemark_partition_time_seconds", "Greatest event time folded", labels, registry=registry)
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

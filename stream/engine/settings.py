"""What can be set about the engine, with the reason for each default beside it."""

from typing import Annotated, Literal

import msgspec

Positive = Annotated[int, msgspec.Meta(gt=0)]


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that every processor of a process shares. Times in milliseconds, sizes in bytes."""

    commit_interval_ms: Positive = 100
    """Longest time between the fold of a record and its commit. Half of it is added to the median latency of each
    role; a shorter one spends a larger share of the time on commits."""
    backlog_commit_interval_ms: Positive = 2_000
    """The same while there is a backlog, where no record is waited for: a state that changes often is written once
    instead of twenty times, and the broker has less to do. ``max_uncommitted_records`` bounds it too."""
    max_uncommitted_records: Positive = 50_000
    """Commit earlier when this many records are folded: what an abort has to repeat stays bounded."""
    max_pending_records: Positive = 20_000
    """Records taken in but not yet folded, over all partitions. At the bound nothing more is consumed."""
    max_pending_bytes: Positive = 64 * 1024 * 1024
    consume_batch: Positive = 5_000
    """Records taken from the consumer at once; one call for thousands costs a fraction of thousands of calls."""
    poll_timeout_ms: Positive = 5
    """How long an idle loop waits for records. It bounds how late a finished score or a due commit is noticed."""
    timers_per_step: Positive = 2_000
    """Timers fired before a commit is due, so that a leap of a year is many small commits instead of one huge one."""
    session_timeout_ms: Positive = 10_000
    """After this long without a sign of life a worker's partitions go to the others."""
    transaction_timeout_ms: Positive = 10_000
    """After this long the broker aborts a transaction that its owner left open. Readers wait for it, so it is short."""
    group_protocol: Literal["classic", "consumer"] = "classic"
    """``classic`` with static membership lets a killed worker come back within a second. ``consumer`` (KIP-848) uses
    dynamic members: with static ones a worker that was killed cannot come back (UNRELEASED_INSTANCE_ID)."""
    store: Literal["memory", "rocksdb"] = "memory"
    rocksdb_memory_bytes: Positive = 128 * 1024 * 1024
    """Blocks, indexes, filters and write buffers of all RocksDB stores of a worker together, however many keys they
    hold. RocksDB's own defaults are 128 MiB of write buffers a partition, and indexes that grow with the state."""
    cached_states: Positive = 10_000
    """Decoded states kept a partition. The rest is kept as bytes."""
    fast_path: bool = True
    """Take plain records in by the compiled path, where it could be compiled. The results are the same."""
    max_output_bytes: Positive = 1_000_000
    """A larger output makes its input a dead letter ``too_large``. Kafka's own bound is 1,048,588 with headers."""
    dead_letter_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.05
    """A partition pauses when more of its records than this became dead letters within ``dead_letter_window_ms``."""
    quarantine_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.001
    dead_letter_window_ms: Positive = 60_000
    dead_letter_minimum: Positive = 200
    """Records that a window must have before its shares mean anything."""
    tick_interval_ms: Positive = 1_000
    """A live, caught-up partition without records for this long gets a tick."""
    tick_delay_ms: Positive = 2_000
    """A tick stays this far behind the wall clock, for what is still on its way."""
    live_within_ms: Positive = 60_000
    """A partition is live when its newest record was appended at most this long after its event time."""
    restore_batch: Positive = 20_000
    """Changelog records applied between two looks at the other partitions."""

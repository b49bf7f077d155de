"""Watches processes work through a log from outside: committed offsets by the broker, CPU and memory by the kernel.

A rate is taken between two commits, so that it depends neither on start-up nor on how often the offsets are looked at,
and behind a first part of the log, so that what has to warm up (a Java virtual machine, caches, states) is warm.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from benchmarks.cluster import cpu_seconds, peak_rss_mib

WARM_UP: Final = 0.2
"""Share of the log that is folded before the measurement begins."""
ENOUGH: Final = 0.95
"""Share at which it ends: the last commits are small."""
_LOOK_EVERY_S: Final = 0.02


class Measured(NamedTuple):
    """One run."""

    events_per_second: float
    cpu_us_per_event: float
    """All threads of all processes."""
    peak_rss_mib: float
    """Sum over the processes."""
    broker_us_per_event: float = 0.0
    """CPU of the broker meanwhile, so that nothing is moved there unseen."""


class _Sample(NamedTuple):
    """What was seen when the committed offsets had changed."""

    at: float
    folded: int
    cpu: float
    broker_cpu: float


class TooShort(RuntimeError):
    """The log was folded in so few commits that no rate can be taken."""


def watch(
    folded: Callable[[], int], pids: Sequence[int], broker_pid: int, events: int, alive: Callable[[], None]
) -> Measured:
    """Wait until all of ``events`` are folded by the processes ``pids``.

    Args:
        folded: how many events are committed.
        alive: raises when a process has ended.

    Raises:
        TooShort: give it more events.
    """
    samples: list[_Sample] = []
    while not samples or samples[-1].folded < events:
        alive()
        now = folded()
        if now and (not samples or now > samples[-1].folded):
            samples.append(_Sample(time.monotonic(), now, sum(map(cpu_seconds, pids)), cpu_seconds(broker_pid)))
        time.sleep(_LOOK_EVERY_S)
    warm = [sample for sample in samples if sample.folded >= WARM_UP * events]
    first = warm[0]
    last = next(sample for sample in samples if sample.folded >= ENOUGH * events)
    count = last.folded - first.folded
    if count < events / 4:
        raise TooShort(f"{events:,} events were folded in {len(samples)} commits: give more --events")
    return Measured(
        count / (last.at - first.at),
        (last.cpu - first.cpu) / count * 1e6,
        sum(map(peak_rss_mib, pids)),
        (last.broker_cpu - first.broker_cpu) / count * 1e6,
    )

"""Ten times the rate for a minute: does memory stay flat, does the lag go back to zero, is anything lost?

    python -m benchmarks.overload --seconds 60

Everything runs as for ``benchmarks.latency``. The usual rate is a share of the highest one, so that ten times of it is
more than the parts can do; what cannot be done waits in Kafka. Called by ``benchmarks.suite`` too.
"""

import argparse
import time
from typing import Final

import msgspec

from benchmarks.cluster import rss_mib
from benchmarks.latency import Traffic, running_stack
from stream.engine.background import Background
from stream.operations.stack import Stack

FACTOR: Final = 10
USUAL_SHARE: Final = 0.25
"""Of the highest rate. Ten times this is two and a half times of what the profiles role can do."""
_COMMIT_INTERVAL_MS: Final = 100
_LOOK_EVERY_S: Final = 0.5
_FLAT_OUT_S: Final = 15.0
_PATIENCE_S: Final = 600.0


class Overload(msgspec.Struct, kw_only=True):
    """What was seen.

    Attributes:
        rate, overload_rate: events a second that were produced, as usual and at the overload.
        most_lag: records of the log that were not committed yet, at most.
        caught_up_seconds: from the end of the overload until the lag was zero, while the usual rate went on.
        rss_before_mib, rss_most_mib: of both workers, before and the most until the lag was zero.
        refused: records that became dead letters; the others are folded, since the lag was zero in the end.
    """

    rate: float
    overload_rate: float
    overload_seconds: float
    most_lag: int
    caught_up_seconds: float
    rss_before_mib: float
    rss_most_mib: float
    refused: int


class Watch(Background):
    """Looks at lag and memory from a thread of its own while its block runs."""

    def __init__(self, stack: Stack, traffic: Traffic) -> None:
        super().__init__("watch")
        self.most_lag, self.lag, self.most_mib = 0, 0, 0.0
        self._pids = [worker.pid for worker in stack.workers.values()]
        self._traffic = traffic

    def memory_mib(self) -> float:
        return sum(map(rss_mib, self._pids))

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            self.lag = self._traffic.lag()
            self.most_lag = max(self.most_lag, self.lag)
            self.most_mib = max(self.most_mib, self.memory_mib())


def measure(seconds: float, highest: float = 0.0) -> Overload:
    """One overload on parts of its own. ``highest`` 0.0 measures the highest rate first.

    Raises:
        RuntimeError: the lag did not go back to zero.
    """
    with running_stack(_COMMIT_INTERVAL_MS) as stack:
        traffic = Traffic(stack)
        usual = USUAL_SHARE * (highest or traffic.flat_out(_FLAT_OUT_S))
        rate = traffic.at_rate(usual, seconds / 2)
        with Watch(stack, traffic) as watch:
            before = watch.memory_mib()
            overload_rate = traffic.at_rate(FACTOR * usual, seconds)
            ended = time.monotonic()
            # What the usual rate has under way between two looks is no backlog.
            while watch.lag > usual * (_LOOK_EVERY_S + 1):
                if time.monotonic() - ended > _PATIENCE_S:
                    raise RuntimeError(f"the lag is {watch.lag:,} events {_PATIENCE_S:.0f} s after the overload")
                traffic.at_rate(usual, 1.0)
            caught_up = time.monotonic() - ended
            traffic.settle()
            refused = traffic.dead_letters()
        return Overload(
            rate=rate,
            overload_rate=overload_rate,
            overload_seconds=seconds,
            most_lag=watch.most_lag,
            caught_up_seconds=caught_up,
            rss_before_mib=before,
            rss_most_mib=watch.most_mib,
            refused=refused,
        )


def lines(found: Overload) -> str:
    """What was seen, for people."""
    return (
        f"{found.rate:,.0f} events/s as usual, {found.overload_rate:,.0f} for {found.overload_seconds:.0f} s\n"
        f"lag {found.most_lag:,} at most, zero {found.caught_up_seconds:.0f} s after it, {found.refused} refused\n"
        f"memory of both workers {found.rss_before_mib:,.0f} MiB before, {found.rss_most_mib:,.0f} MiB at most"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the overload")
    parser.add_argument("--rate", type=float, default=0.0, help="the highest rate in events/s, instead of measuring it")
    arguments = parser.parse_args()
    print(lines(measure(arguments.seconds, arguments.rate)))


if __name__ == "__main__":
    main()

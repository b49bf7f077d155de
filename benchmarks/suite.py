"""Every figure of docs/benchmarks.md in one run: `make bench`; or, in three minutes, whether Tidemark has become slow.

    python -m benchmarks.suite --out results.json
    python -m benchmarks.suite --quick --out results.json

The quick run takes the simple job and the profiles role beside a raw reader, and ends with 1 when one of them has
fallen by more than a third of its kept ratio to the reader (``kept_ratios.json``). It leaves the page alone.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks import decisions, latency, overload, restore, state_sizes, throughput
from benchmarks.event_log import MIXES, SKEWS
from benchmarks.peers import whole_fold
from benchmarks.peers.comparison import compare
from benchmarks.peers.systems import SYSTEMS, TIDEMARK
from benchmarks.ratios import KEPT, busy, fallen, keep, read_kept
from benchmarks.results import Results, begin, write_page
from benchmarks.rows import Row, show
from stream.embedded.kafka import EmbeddedKafka

RUNS: Final = 3
SIMPLE_EVENTS: Final = 1_000_000
PROFILE_EVENTS: Final = {10_000: 600_000, 100_000: 600_000, 1_000_000: 2_000_000}
"""By number of customers: enough that most of them have a state before the measurement ends."""
SCALE_OUT: Final = (2, 4)
"""Workers; one is in the table of stores."""
LATENCY_S: Final = 60.0
LATENCY_ALERTS: Final = 700
OVERLOAD_S: Final = 60.0
LEAST_SCORED: Final = 10_000
"""Customers who keep the role decisions busy for several commits, which are two seconds apart in a backlog."""

QUICK_CUSTOMERS: Final = 20_000
QUICK_SIMPLE_EVENTS: Final = 300_000
QUICK_PROFILE_EVENTS: Final = 120_000
QUICK_PROFILE_RUNS: Final = 2


def quick_rows() -> Iterator[Row]:
    """The raw reader, the simple job and the profiles role, for both loads."""
    with EmbeddedKafka() as kafka:
        for skew in SKEWS:
            yield from compare(kafka, skew, QUICK_CUSTOMERS, QUICK_SIMPLE_EVENTS, RUNS, (TIDEMARK,))
            yield from throughput.measure_all(kafka, skew, QUICK_CUSTOMERS, QUICK_PROFILE_EVENTS, QUICK_PROFILE_RUNS)


def simple_job(results: Results, scale: float, runs: int) -> None:
    """The comparison with the peers."""
    with EmbeddedKafka() as kafka:
        for skew in SKEWS:
            results.rows.extend(show(compare(kafka, skew, 100_000, int(scale * SIMPLE_EVENTS), runs, SYSTEMS)))


def profiles(results: Results, scale: float, runs: int) -> None:
    """The whole fold by customers and store, and by number of workers with a fixed load on each."""
    with EmbeddedKafka() as kafka:
        for skew in SKEWS:
            for customers, events in PROFILE_EVENTS.items():
                count = int(scale * events)
                rows = throughput.measure_all(kafka, skew, customers, count, runs, stores=throughput.STORES)
                results.rows.extend(show(rows))
            for workers in SCALE_OUT:
                count = int(scale * workers * PROFILE_EVENTS[100_000])
                rows = throughput.measure_all(kafka, skew, 100_000, count, runs, workers=(workers,))
                results.rows.extend(show(rows))


def beside_kafka_streams(results: Results, scale: float, runs: int) -> None:
    """The whole fold and its port to Kafka Streams, by mix and load."""
    customers, events = int(scale * whole_fold.CUSTOMERS), int(scale * whole_fold.EVENTS)
    with EmbeddedKafka() as kafka:
        for mix in MIXES:
            for skew in SKEWS:
                results.rows.extend(show(whole_fold.compare(kafka, skew, mix, customers, events, runs)))


def restores(results: Results, scale: float, runs: int) -> None:
    """Starts with a million customers, and the sizes of their states."""
    print(restore.HEADER)
    for start in restore.measure(int(scale * 1_000_000)):
        print(restore.line(start), flush=True)
        results.restore.append(start)
    results.sizes.extend(state_sizes.measure())


def scorings(results: Results, scale: float, runs: int) -> None:
    """Customers scored by batch and by calls in flight."""
    print(decisions.HEADER)
    customers = max(LEAST_SCORED, int(scale * decisions.CUSTOMERS))
    for one in decisions.measure_all(decisions.BATCHES, decisions.IN_FLIGHT, customers, runs):
        print(decisions.line(one), flush=True)
        results.decisions.append(one)


def latencies(results: Results, scale: float, runs: int) -> None:
    """Event to alert by load and commit interval."""
    alerts, seconds = max(20, int(scale * LATENCY_ALERTS)), max(5.0, scale * LATENCY_S)
    print(latency.HEADER)
    for one in latency.measure_all(latency.SHARES, latency.COMMIT_INTERVALS_MS, seconds, alerts):
        print(latency.line(one), flush=True)
        results.latency.append(one)


def overloads(results: Results, scale: float, runs: int) -> None:
    """Ten times the rate."""
    results.overload.append(overload.measure(max(5.0, scale * OVERLOAD_S)))
    print(overload.lines(results.overload[-1]))


PARTS: Final[dict[str, Callable[[Results, float, int], None]]] = {
    "simple": simple_job,
    "profiles": profiles,
    "whole-fold": beside_kafka_streams,
    "restore": restores,
    "decisions": scorings,
    "latency": latencies,
    "overload": overloads,
}


def run_parts(results: Results, parts: Sequence[str], scale: float, runs: int, out: Path) -> None:
    """Measure, and keep what there is after each part: the whole takes some three hours."""
    for part in parts:
        PARTS[part](results, scale, runs)
        results.write(out)
        if scale == 1.0:
            write_page(results)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON with everything that was measured")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="some parts of it")
    parser.add_argument("--quick", action="store_true", help="three minutes, held against the kept ratios")
    parser.add_argument("--keep", action="store_true", help=f"with --quick: write {KEPT.name} instead of reading it")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="a share of events, customers and seconds, to try it; no page then"
    )
    arguments = parser.parse_args()
    results = begin(f"make {'bench-quick' if arguments.quick else 'bench'}")
    if not arguments.quick:
        run_parts(results, arguments.only, arguments.scale, arguments.runs, arguments.out)
        return 0
    results.rows.extend(show(quick_rows()))
    results.write(arguments.out)
    if arguments.keep:
        keep(results)
        return 0
    if busy(results):
        print(f"load average {results.load_average} before the run: CPU an event is judged, and no rate")
    complaints = fallen(results, read_kept())
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

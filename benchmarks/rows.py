"""Rows of the table of throughput: made of several runs, printed for people and written as JSON.

Called by the benchmarks of throughput and by ``benchmarks.suite``.
"""

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Final

import msgspec

from benchmarks.watched import Measured


class Row(msgspec.Struct, kw_only=True):
    """One line: medians over the runs, and the range of the rates.

    Attributes:
        load: how events are spread over customers.
        mix: of the types of events, where a table has several.
        events: of the log, in each run.
        cpu_us_per_event, broker_us_per_event: CPU microseconds of the system's processes, and of the broker.
        peak_rss_mib: the most of any run.
    """

    workload: str
    system: str
    guarantee: str
    load: str
    mix: str = ""
    customers: int
    events: int
    workers: int = 1
    store: str = "memory"
    events_per_second: float
    cpu_us_per_event: float
    broker_us_per_event: float
    peak_rss_mib: float
    runs: int
    range: tuple[float, float]


def row(
    workload: str,
    system: str,
    guarantee: str,
    measured: Sequence[Measured],
    *,
    load: str,
    customers: int,
    events: int,
    workers: int = 1,
    store: str = "memory",
    mix: str = "",
) -> Row:
    """One line from all runs of it."""
    rates = [run.events_per_second for run in measured]
    return Row(
        workload=workload,
        system=system,
        guarantee=guarantee,
        load=load,
        mix=mix,
        customers=customers,
        events=events,
        workers=workers,
        store=store,
        events_per_second=median(rates),
        cpu_us_per_event=median(run.cpu_us_per_event for run in measured),
        broker_us_per_event=median(run.broker_us_per_event for run in measured),
        peak_rss_mib=max(run.peak_rss_mib for run in measured),
        runs=len(rates),
        range=(min(rates), max(rates)),
    )


HEADER: Final = (
    f"{'system':<14}{'load':<8}{'customers':>9} {'workers, store':<15}{'events/s':>9}{'us CPU':>7}{'MiB':>6}  range"
)


def show(rows: Iterable[Row]) -> Iterator[Row]:
    """Print each row as it comes, in 80 columns, under a header for each workload and mix; and hand it on."""
    title = ""
    for line in rows:
        if title != (title := ", ".join(filter(None, (line.workload, line.mix)))):
            print(f"{title}\n{HEADER}")
        least, most = line.range
        print(
            f"{line.system:<14}{line.load:<8}{line.customers:>9,} {f'{line.workers}, {line.store}':<15}"
            f"{line.events_per_second:>9,.0f}{line.cpu_us_per_event:>7.1f}{line.peak_rss_mib:>6,.0f}"
            f"  {least / 1000:.1f}..{most / 1000:.1f}k",
            flush=True,
        )
        yield line

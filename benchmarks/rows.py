"""Rows of the table of throughput: made of several runs, printed for people and written as JSON.

Called by the benchmarks of throughput and by ``benchmarks.suite``.
"""

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from benchmarks.watched import Measured


class Row(msgspec.Struct, kw_only=True):
    """One line: medians over the runs, and the range of the rates.

    Attributes:
        load: how events are spread over customers.
        events: of the log, in each run.
        peak_rss_mib: the most of any run.
    """

    workload: str
    system: str
    guarantee: str
    load: str
    customers: int
    events: int
    workers: int = 1
    store: str = "memory"
    events_per_second: float
    cpu_us_per_event: float
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
) -> Row:
    """One line from all runs of it."""
    rates = [run.events_per_second for run in measured]
    return Row(
        workload=workload,
        system=system,
        guarantee=guarantee,
        load=load,
        customers=customers,
        events=events,
        workers=workers,
        store=store,
        events_per_second=median(rates),
        cpu_us_per_event=median(run.cpu_us_per_event for run in measured),
        peak_rss_mib=max(run.peak_rss_mib for run in measured),
        runs=len(rates),
        range=(min(rates), max(rates)),
    )


def show(rows: Iterable[Row]) -> None:
    """Print lines of 80 columns at most."""
    print(f"{'system':<14}{'load':<9}{'customers':>9}{'store':>8}{'events/s':>10}{'range':>18}{'us CPU':>7}{'MiB':>5}")
    for line in rows:
        least, most = line.range
        print(
            f"{line.system:<14}{line.load:<9}{line.customers:>9,}{line.store:>8}{line.events_per_second:>10,.0f}"
            f"{f'{least:,.0f}..{most:,.0f}':>18}{line.cpu_us_per_event:>7.1f}{line.peak_rss_mib:>5,.0f}",
            flush=True,
        )

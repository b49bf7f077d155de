"""What a run of the benchmarks found: written as JSON, and as the tables of docs/benchmarks.md.

The page is written by hand but for the blocks between its markers, which ``write_page`` fills. Called by
``benchmarks.suite``.
"""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.decisions import COLUMNS, Scoring, cells
from benchmarks.latency import Latency
from benchmarks.overload import Overload
from benchmarks.peers.comparison import RAW_READER
from benchmarks.peers.environments import FAUST_VERSION, QUIX_VERSION
from benchmarks.restore import Start
from benchmarks.rows import Row
from benchmarks.state_sizes import Sizes
from benchmarks.throughput import WORKLOAD
from stream.embedded.kafka import KAFKA_VERSION
from stream.embedded.triton_install import TRITON_VERSION

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


class Results(msgspec.Struct, kw_only=True):
    """Everything that was measured in one run; what was left out is empty."""

    command: str
    date: str
    machine: str
    load_average: float
    """When the run began: figures of a machine that did other work mean little."""
    versions: dict[str, str]
    rows: list[Row] = []
    restore: list[Start] = []
    sizes: list[Sizes] = []
    decisions: list[Scoring] = []
    latency: list[Latency] = []
    overload: list[Overload] = []

    def ratio_to_reader(self, row: Row) -> float:
        """Of a row's rate to the raw reader's of the same load, mix and customers; 0.0 where there was none."""
        for other in self.rows:
            if (other.system, other.load, other.mix, other.customers) == (
                RAW_READER,
                row.load,
                row.mix,
                row.customers,
            ):
                return row.events_per_second / other.events_per_second
        return 0.0

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def begin(command: str) -> Results:
    """Empty results of this machine, now."""
    packages = ("confluent-kafka", "msgspec", "rocksdict")
    return Results(
        command=command,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        machine=f"{os.cpu_count()} cores, {_processor()}, {platform.system()} {platform.machine()}",
        load_average=round(os.getloadavg()[0], 1),
        versions={
            "commit": _commit(),
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
            "kafka": KAFKA_VERSION,
            "triton": TRITON_VERSION,
            "kafka streams": KAFKA_VERSION,
            "quix streams": QUIX_VERSION,
            "faust-streaming": FAUST_VERSION,
        },
    )


def _processor() -> str:
    """The processor's name, as the kernel says it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor()


def _commit() -> str:
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=PAGE.parent, stdout=subprocess.PIPE, text=True, check=False
    )
    return said.stdout.strip() or "unknown"


# -- the page ---------------------------------------------------------


def write_page(results: Results, page: Path = PAGE) -> None:
    """Fill the page's blocks that this run has figures for, and leave the others as they are.

    Raises:
        ValueError: the page has no such block.
    """
    text = page.read_text()
    for name, block in blocks(results).items():
        begin_mark, end_mark = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, found, rest = text.partition(begin_mark)
        _, closed, after = rest.partition(end_mark)
        if not found or not closed:
            raise ValueError(f"{page} has no block {begin_mark} … {end_mark}: put both lines back")
        text = f"{before}{begin_mark}\n{block}\n{end_mark}{after}"
    page.write_text(text)


def blocks(results: Results) -> dict[str, str]:
    """Tables in Markdown by the name of their block, of what was measured."""
    found = {"run": _run_block(results)}
    by_workload: dict[str, list[Row]] = {}
    for one in results.rows:
        by_workload.setdefault(one.workload, []).append(one)
    for workload, rows in by_workload.items():
        found[workload] = _throughput_block(results, rows)
    if fold := [one for one in results.rows if (one.workload, one.store, one.workers) == (WORKLOAD, "memory", 1)]:
        found["on paper"] = _on_paper(fold)
    if results.restore:
        found["restore"] = _table(
            (
                "state from",
                "store",
                "customers",
                "states MiB",
                "first event s",
                "restore s",
                "CPU s",
                "held MiB",
                "wanted MiB",
                "peak MiB",
            ),
            [
                (
                    one.source,
                    one.store,
                    f"{one.customers:,}",
                    f"{one.state_mib:,.0f}",
                    f"{one.seconds:.1f}",
                    f"{one.restore_seconds:.1f}",
                    f"{one.cpu_seconds:.1f}",
                    f"{one.held_mib:,.0f}",
                    f"{one.wanted_mib:,.0f}" if one.store == "memory" else "",
                    f"{one.peak_rss_mib:,.0f}",
                )
                for one in results.restore
            ],
        )
    if results.sizes:
        found["sizes"] = _table(
            ("profiles of", "customers", "p50 bytes", "p99", "most"),
            [
                (one.data, f"{one.customers:,}", f"{one.p50:,}", f"{one.p99:,}", f"{one.most:,}")
                for one in results.sizes
            ],
        )
    if results.decisions:
        found["decisions"] = _table(COLUMNS, [cells(one) for one in results.decisions])
    if results.latency:
        found["latency"] = _table(
            ("load", "events/s", "commit interval", "alerts", "p50 ms", "p99 ms", "p99.9 ms"),
            [
                (
                    f"{one.share:.0%}",
                    f"{one.events_per_second:,.0f}",
                    f"{one.commit_interval_ms} ms",
                    f"{one.alerts:,}",
                    f"{one.p50_ms:,.0f}",
                    f"{one.p99_ms:,.0f}",
                    f"{one.p999_ms:,.0f}",
                )
                for one in results.latency
            ],
        )
    if results.overload:
        found["overload"] = _table(
            ("events/s", "then, for", "most lag", "lag 0 after", "MiB before", "at most", "refused"),
            [
                (
                    f"{one.rate:,.0f}",
                    f"{one.overload_rate:,.0f}, {one.overload_seconds:.0f} s",
                    f"{one.most_lag:,}",
                    f"{one.caught_up_seconds:.0f} s",
                    f"{one.rss_before_mib:,.0f}",
                    f"{one.rss_most_mib:,.0f}",
                    f"{one.refused:,}",
                )
                for one in results.overload
            ],
        )
    return found


def _run_block(results: Results) -> str:
    versions = ", ".join(f"{name} {value}" for name, value in results.versions.items())
    return (
        f"`{results.command}`, {results.date}, load average {results.load_average} before it, on {results.machine}. "
        f"Versions: {versions}."
    )


def _throughput_block(results: Results, rows: list[Row]) -> str:
    return _table(
        (
            "system",
            "guarantee",
            "load",
            "customers",
            "workers",
            "store",
            "events/s",
            "range",
            "runs",
            "CPU us an event",
            "broker's",
            "peak MiB",
            "of the raw reader",
        ),
        [
            (
                one.system,
                one.guarantee,
                ", ".join(filter(None, (one.load, one.mix))),
                f"{one.customers:,}",
                f"{one.workers}",
                one.store,
                f"{one.events_per_second:,.0f}",
                f"{one.range[0]:,.0f} … {one.range[1]:,.0f}",
                f"{one.runs}",
                f"{one.cpu_us_per_event:.1f}",
                f"{one.broker_us_per_event:.1f}" if one.broker_us_per_event else "",
                f"{one.peak_rss_mib:,.0f}",
                f"{ratio:.2f}" if (ratio := results.ratio_to_reader(one)) else "",
            )
            for one in rows
        ],
    )


MACHINES: Final = 100
WORK_US: Final = 8 * 0.7 * 1e6
"""Of a machine with eight cores that is used at 70 %, a second."""
COPIES: Final = 3


def _on_paper(rows: list[Row]) -> str:
    """The arithmetic of the page's section on a hundred machines, with the measured costs."""
    return _table(
        ("load", "customers", "w", "b", "events/s of a hundred machines", "of them brokers"),
        [
            (
                one.load,
                f"{one.customers:,}",
                f"{one.cpu_us_per_event:.1f}",
                f"{one.broker_us_per_event:.1f}",
                f"{MACHINES * WORK_US / (cost := one.cpu_us_per_event + COPIES * one.broker_us_per_event):,.0f}",
                f"{MACHINES * COPIES * one.broker_us_per_event / cost:.0f}",
            )
            for one in rows
        ],
    )


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

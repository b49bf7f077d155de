"""The guard against becoming slow: ratios to the raw reader of the same run, held against ratios that are kept.

A ratio compares what the machine does in the same minutes, so that a slow one says the same. Two are kept of each row:
of events a second, the best run's by the reader's best one, which a neighbour that is busy for a while spoils least;
and of CPU an event. A row has fallen when either has: waiting costs no CPU, and CPU on a second core no time. On a
machine that was busy before the run, CPU alone is judged: rates were seen to differ there by a factor of two, CPU by a
tenth. Called by ``benchmarks.suite``.
"""

import os
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.peers.comparison import RAW_READER
from benchmarks.results import Results
from benchmarks.rows import Row

KEPT: Final = Path(__file__).with_name("kept_ratios.json")
LEAST: Final = 2 / 3
"""Of the kept ratio: a fall of more than a third is too much."""
BUSY: Final = 1.5
"""Load average for each core above which a machine does other work."""


class Ratio(msgspec.Struct, frozen=True):
    """How a row stands to the raw reader.

    Attributes:
        rate: events a second of its best run by the reader's best.
        cpu: the reader's CPU an event by its own, so that more is better too.
    """

    rate: float
    cpu: float


def ratios(results: Results) -> dict[str, Ratio]:
    """By workload and load."""
    readers = {row.load: row for row in results.rows if row.system == RAW_READER}
    return {
        f"{row.workload}, {row.load}": _ratio(row, readers[row.load])
        for row in results.rows
        if row.system != RAW_READER
    }


def _ratio(row: Row, reader: Row) -> Ratio:
    return Ratio(
        round(row.range[1] / reader.range[1], 4),
        round(reader.cpu_us_per_event / row.cpu_us_per_event, 4),
    )


def busy(results: Results) -> bool:
    """Whether the machine did other work when the run began."""
    return results.load_average > BUSY * (os.cpu_count() or 1)


def fallen(results: Results, kept: dict[str, Ratio]) -> list[str]:
    """What has become slow, a sentence each. A kept row that was not measured counts as fallen."""
    now, rates_count = ratios(results), not busy(results)
    complaints = []
    for name, wanted in kept.items():
        found = now.get(name)
        if found is None:
            complaints.append(f"{name}: was not measured, and {KEPT.name} has it: remove it there, or measure it")
        elif (rates_count and found.rate < LEAST * wanted.rate) or found.cpu < LEAST * wanted.cpu:
            complaints.append(
                f"{name}: {found.rate:.3f} of the raw reader's events/s and {found.cpu:.3f} of its CPU an event, after "
                f"{wanted.rate:.3f} and {wanted.cpu:.3f}: it has fallen by more than a third. Make it fast again, or "
                f"accept it with `python -m benchmarks.suite --quick --keep --out FILE`"
            )
    return complaints


def keep(results: Results) -> None:
    """What was measured is what later runs are held against."""
    KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(ratios(results)), indent=1) + b"\n")


def read_kept() -> dict[str, Ratio]:
    return msgspec.json.decode(KEPT.read_bytes(), type=dict[str, Ratio])

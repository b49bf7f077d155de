"""BG/NBD on the CDNOW customers of its paper: the parameters that everybody publishes, and how well the next 39 weeks
are foretold.

    python -m benchmarks.cdnow FILE

FILE is the log of purchases ``CDNOW_sample.txt`` or the table ``cdnow_customers_summary.csv``; the PyPI package
``lifetimes`` has both, and the data are not part of this repository. Fader, Hardie and Lee (2005) find r .243, alpha
4.414, a .793 and b 2.426.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.evaluation import metrics
from serving.purchase_rates import PurchaseRates, fit_purchase_rates

Floats = npt.NDArray[np.float64]

CALIBRATION_END: Final = date(1997, 9, 30)
HOLDOUT_END: Final = date(1998, 6, 30)
_WEEK_DAYS: Final = 7.0


class Counted(NamedTuple):
    """N customers, in weeks."""

    repeats: Floats
    last: Floats
    age: Floats
    later: Floats | None
    """Days with a purchase between the two ends; None where the file does not say."""


def counted_log(lines: Iterable[str]) -> Counted:
    """From lines of customer, place in the sample, day, discs and dollars: ``00004 0001 19970101 2 29.33``."""
    days: dict[str, set[date]] = {}
    for line in lines:
        customer, *_, day, _, _ = line.split()
        days.setdefault(customer, set()).add(date(int(day[:4]), int(day[4:6]), int(day[6:])))
    rows = []
    for own in days.values():
        known = sorted(day for day in own if day <= CALIBRATION_END)
        if known:
            later = sum(CALIBRATION_END < day <= HOLDOUT_END for day in own)
            rows.append((len(known) - 1, (known[-1] - known[0]).days, (CALIBRATION_END - known[0]).days, later))
    table = np.array(rows, np.float64)
    return Counted(table[:, 0], table[:, 1] / _WEEK_DAYS, table[:, 2] / _WEEK_DAYS, table[:, 3])


def counted_table(rows: Iterable[dict[str, str]]) -> Counted:
    """From rows that are counted in weeks already."""
    table = np.array([[float(row[name]) for name in ("frequency", "recency", "T")] for row in rows])
    return Counted(table[:, 0], table[:, 1], table[:, 2], None)


def holdout_figures(rates: PurchaseRates, seen: Counted) -> dict[str, float]:
    """How far the expected purchases are from those that came, and how well they order who came at all."""
    if seen.later is None:
        return {}
    weeks = (HOLDOUT_END - CALIBRATION_END).days / _WEEK_DAYS
    expected = rates.expected(seen.repeats, seen.last, seen.age, weeks)
    error = expected - seen.later
    return {
        "MAE": float(np.abs(error).mean()),
        "RMSE": float(np.sqrt((error**2).mean())),
        "AUC": metrics.auc(seen.later > 0, expected),
        "expected in all": float(expected.sum()),
        "bought in all": float(seen.later.sum()),
    }


def main(path: Path) -> None:
    """Fit and print."""
    with path.open() as file:
        seen = counted_table(csv.DictReader(file)) if path.suffix == ".csv" else counted_log(file)
    rates = fit_purchase_rates(seen.repeats, seen.last, seen.age)
    print(f"{len(seen.repeats):,} customers")
    for name, value in (rates._asdict() | holdout_figures(rates, seen)).items():
        print(f"{name:<16} {value:,.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

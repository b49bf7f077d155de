"""Fits and checks the constants of ``stream/decisions/fallback.py``, and prints both; writes nothing.

    tidemark convert online_retail_ii.parquet events.jsonl.gz
    .venv/bin/python benchmarks/fallback_fit.py events.jsonl.gz

Three fits are shown. ``later`` fits on the first months and checks on the last ones: what a change of season does to a
frozen formula. ``others`` fits on one half of the customers over a whole year and checks on the other half: whether
the formula itself is calibrated. ``shipped`` is the whole year with everybody, and is what the fallback holds.
Customers of the demo are left out of all.
"""

import argparse
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.dataset import by_customer, calendar_cutoffs, examples
from serving.evaluation.logistic import fit_logistic
from serving.evaluation.metrics import auc, brier, ece
from serving.history import Journey, journeys, read_events
from serving.holdout import is_demo_customer
from serving.model_card import HORIZONS_DAYS
from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.decisions.fallback import REVENUE_DAYS, churn, expected_revenue, rate_of
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings

ELIGIBLE_DAYS: Final = 365
STEP_DAYS: Final = 7
RIDGE: Final = 1e-6
SETTINGS: Final = ProfileSettings()


class Rows(NamedTuple):
    """Customers at calendar cut-offs, N in all; a customer counts while an order lies at most ``ELIGIBLE_DAYS``
    back."""

    as_of: npt.NDArray[np.float64]
    half: npt.NDArray[np.float64]
    """0 or 1, by the customer's id."""
    rate: npt.NDArray[np.float64]
    waited: npt.NDArray[np.float64]
    """Days until the next purchase; infinite where none is known."""
    revenue: npt.NDArray[np.float64]
    """Of the next ``REVENUE_DAYS``; NaN where they end after the data."""
    expected: npt.NDArray[np.float64]
    """What the fallback expects for them."""

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Rows":
        """Only the rows that are chosen."""
        return Rows._make(column[chosen] for column in self)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", nargs="+", type=Path, help="canonical events of Online Retail II")
    events = read_events(parser.parse_args().events, SETTINGS)
    found = [event for event in events if not is_demo_customer(event.customer_id)]
    end = max(to_epoch_ms(event.time) for event in found)
    last = end - max(HORIZONS_DAYS) * DAY_MS
    cutoffs = calendar_cutoffs(_day(2010, 2, 1), last, STEP_DAYS)
    rows = _rows(by_customer(found), journeys(found, SETTINGS), cutoffs, end)
    year = rows.where(rows.as_of > last - 365 * DAY_MS)
    early = rows.where(rows.as_of <= last - (max(HORIZONS_DAYS) + 28) * DAY_MS)
    late = rows.where(rows.as_of > last - 28 * DAY_MS)

    _report("later", early, late)
    _report("others", year.where(year.half == 0), year.where(year.half == 1))
    intercepts, slopes = _report("shipped", year, year)
    print(f"INTERCEPTS: Final = {tuple(round(value, 3) for value in intercepts)}")
    print(f"SLOPES: Final = {tuple(round(value, 3) for value in slopes)}")
    frozen = churn(0.0), churn(1.0), churn(3.0)
    print(f"in the code now: P at 0, 1 and 3 decayed orders = {[[round(p, 3) for p in each] for each in frozen]}")
    known = year.where(~np.isnan(year.revenue))
    print(f"revenue of 180 days; mean {known.revenue.mean():.0f}, expected {known.expected.mean():.0f}")


def _report(name: str, fitted_on: Rows, checked_on: Rows) -> tuple[list[float], list[float]]:
    intercepts, slopes = [], []
    for days in HORIZONS_DAYS:
        model = fit_logistic(np.log1p(fitted_on.rate)[:, None], fitted_on.waited > days, RIDGE)
        slope = float(model.weights[0] / model.scale[0])
        intercepts.append(model.intercept - slope * float(model.mean[0]))
        slopes.append(-slope)
        truth = checked_on.waited > days
        probability = model.probability(np.log1p(checked_on.rate)[:, None])
        print(
            f"{name:8} {days:2} d  N {len(fitted_on.as_of)}/{len(truth)}  churn {np.mean(fitted_on.waited > days):.3f}/"
            f"{truth.mean():.3f}  AUC {auc(truth, probability):.3f}  Brier {brier(truth, probability):.4f}  "
            f"ECE {ece(truth, probability):.4f}"
        )
    return intercepts, slopes


def _rows(histories: dict[str, list[Event]], bought: dict[str, Journey], cutoffs: list[int], end: int) -> Rows:
    table: list[tuple[float, ...]] = []
    for example in examples(histories, cutoffs, end, SETTINGS):
        journey = bought.get(example.customer_id)
        if example.trigger is not None or journey is None:
            continue
        upcoming = int(np.searchsorted(journey.times, example.as_of, side="right"))
        if not upcoming or example.as_of - journey.times[upcoming - 1] > ELIGIBLE_DAYS * DAY_MS:
            continue
        profile = codec.decode(example.profile)
        waited = (journey.times[upcoming] - example.as_of) / DAY_MS if upcoming < len(journey.times) else np.inf
        until = example.as_of + REVENUE_DAYS * DAY_MS
        inside = (journey.times > example.as_of) & (journey.times <= until)
        revenue = journey.revenue[inside].sum() if until <= end else np.nan
        half = zlib.crc32(example.customer_id.encode()) & 1
        expected = expected_revenue(profile, example.as_of)
        table.append((example.as_of, half, rate_of(profile, example.as_of), waited, revenue, expected))
    columns = np.array(table).T
    return Rows._make(columns)


def _day(year: int, month: int, day: int) -> int:
    return to_epoch_ms(datetime(year, month, day, tzinfo=UTC))


if __name__ == "__main__":
    main()

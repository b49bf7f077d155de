"""Whether the calibration slope of the latest labels that are known is the slope of the churn to come: a table.

    python -m benchmarks.slope EVENTS [CUTOFF...]

Needs the extra `train`. Before each cut-off a network is trained as it would have been 132 days earlier. On the 42 days
after that moment, of which 90 days are over at the cut-off, Platt's slope is fitted. The network of the cut-off then
answers with its own slope of 1, with that slope, and with half of the way to it, at the level that is right on the same
42 days.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.ablation import SETTINGS
from serving.catalogue import Catalogue
from serving.dataset import by_customer, calendar_cutoffs, examples
from serving.evaluation import metrics
from serving.evaluation.baselines.rfm import eligible
from serving.evaluation.logistic import sigmoid
from serving.history import Journey, journeys, outcome, read_events
from serving.holdout import is_demo_customer
from serving.model.network import raw_churn
from serving.model_card import HORIZONS_DAYS
from serving.season import Season
from serving.shop import Shop
from serving.training.arrays import example_arrays, labels
from serving.training.calibration import intercept_of, platt
from serving.training.fit import CALIBRATION_DAYS, Fitted, ItemTable, fit, split
from serving.training.known import purchase_rates
from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.profiles.settings import ProfileSettings

CUTOFFS: Final = ("2010-12-09", "2011-01-13", "2011-02-10", "2011-03-10")
HALF: Final = 0.5

Floats = npt.NDArray[np.float64]


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    settings = ProfileSettings()
    histories = by_customer(read_events([Path(arguments[0])], settings))
    bought = journeys((event for own in histories.values() for event in own), settings)
    print("| | days | known slope | slope to come | Brier, ECE at slope 1 | half of the way | known slope |")
    print("|" + " --- |" * 7)
    for day in arguments[1:] or CUTOFFS:
        cutoff = to_epoch_ms(datetime.fromisoformat(day).replace(tzinfo=UTC))
        for line in compared(histories, bought, cutoff, settings):
            print(f"| {day} | {line}", flush=True)


def compared(
    histories: dict[str, list[Event]], bought: dict[str, Journey], cutoff: int, settings: ProfileSettings
) -> list[str]:
    """A row for each horizon that is over at the end of the events."""
    until, end = cutoff - 1, max(int(journey.times[-1]) for journey in bought.values())
    earlier = until - (HORIZONS_DAYS[-1] + CALIBRATION_DAYS) * DAY_MS
    moments = calendar_cutoffs(cutoff - 480 * DAY_MS, cutoff, SETTINGS.calendar_step_days)
    found = [e for e in examples(histories, moments, cutoff, settings) if e.as_of < cutoff]
    season = Season.learned(bought.values(), until)
    first = min(int(journey.times[0]) for journey in bought.values())
    shop = Shop.unknown()._replace(first=first, season=season, rates=purchase_rates(bought, season, until))
    arrays = example_arrays(found, Catalogue.from_items((), None, shop), lambda what, done, of: None)
    stats = torch.from_numpy(arrays.tensors["stats"].astype(np.float32))
    shown = np.array([not is_demo_customer(example.customer_id) for example in found])
    learned = np.flatnonzero(shown & (arrays.as_of < until))

    def network(known_at: int) -> Fitted:
        train = [found[row] for row in learned]
        known = labels(train, bought, known_at, Catalogue.from_items(()))
        own = arrays._replace(
            tensors={name: array[learned] for name, array in arrays.tensors.items()},
            lengths=arrays.lengths[learned],
            as_of=arrays.as_of[learned],
            calendar=arrays.calendar[learned],
            customer=arrays.customer[learned],
        )
        items = ItemTable(torch.zeros(1, 8, dtype=torch.int64), torch.zeros(1))
        return fit(own, known, items, known_at, SETTINGS, lambda what, done, of: None)

    def says(fitted: Fitted, rows: npt.NDArray[np.intp]) -> Floats:
        with torch.no_grad():
            return np.asarray(raw_churn(fitted.network.hazards(stats[rows])).numpy(), np.float64)

    later = learned[split(arrays.as_of[learned], until, SETTINGS).later]
    over = labels([found[row] for row in later], bought, until, Catalogue.from_items(()))
    judged = set(eligible(bought, until))
    asked = np.flatnonzero(
        (arrays.as_of == until) & arrays.calendar & np.array([example.customer_id in judged for example in found])
    )
    outcomes = np.array([outcome(bought[found[row].customer_id], until, end, HORIZONS_DAYS).bought for row in asked])
    before, now = network(earlier), network(until)
    rows = []
    for place, days in enumerate(HORIZONS_DAYS):
        if (outcomes[:, place] < 0).any():
            continue
        churned, known = (outcomes[:, : place + 1] == 0).all(axis=1), over.churned(place)
        slope, _ = platt(says(before, later)[:, place], known)
        raw, fitted_on = says(now, asked)[:, place], says(now, later)[:, place]
        logit = np.log(raw / (1 - raw))
        cells = []
        for each in (1.0, 1.0 + HALF * (slope - 1.0), slope):
            said = sigmoid(each * logit + intercept_of(each, fitted_on, known))
            cells.append(f"{metrics.brier(churned, said):.4f}, {metrics.ece(churned, said):.3f}")
        realised = metrics.calibration_slope(churned, raw)
        rows.append(f"{days} | {slope:.2f} | {realised:.2f} | " + " | ".join(cells) + " |")
    return rows


if __name__ == "__main__":
    main(sys.argv[1:])

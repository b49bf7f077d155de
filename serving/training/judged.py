"""How good settings are: the loss of networks at cut-offs that lie after their training and before every figure.

What happened within the longest horizon after them was over before the first cut-off that ``serving.training.train``
measures at, so no figure is of a time that a setting was chosen on. Called by ``serving.training.search``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np
import torch

from serving.dataset import Example, calendar_cutoffs, examples
from serving.evaluation.baselines.rfm import eligible
from serving.model.network import raw_churn
from serving.model_card import HORIZONS_DAYS
from serving.training.arrays import ExampleArrays, Labels, Report, batch_of, example_arrays, labels
from serving.training.enough import TooLittleHistory
from serving.training.fit import fit, fit_queries, split
from serving.training.known import Known, known_at
from serving.training.losses import next_item_loss
from serving.training.runs import Source
from serving.training.settings import TrainingSettings
from serving.training.train import EVALUATION_DAYS, FIRST_CUTOFF_DAYS
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings

Part = Literal["hazards", "query"]

TUNING_DAYS: Final = tuple(max(EVALUATION_DAYS) + HORIZONS_DAYS[-1] + weeks * 7 for weeks in (0, 4))
"""Distances of the cut-offs from the end of the data: the first that is over in time, and one four weeks before."""

_ASK_BATCH: Final = 1_024


class Judge(NamedTuple):
    """A cut-off: what was known then, and what happened to everybody after it."""

    known: Known
    until: int
    """The moment before the cut-off, epoch milliseconds."""
    asked: ExampleArrays
    outcomes: Labels


def judges(
    source: Source, settings: TrainingSettings, profile_settings: ProfileSettings, called: str, report: Report
) -> list[Judge]:
    """The cut-offs of ``TUNING_DAYS``, each at the last calendar cut-off that is not later.

    Raises:
        TooLittleHistory: there is nothing to train on before one of them.
    """
    moments = calendar_cutoffs(source.first + FIRST_CUTOFF_DAYS * DAY_MS, source.end, settings.calendar_step_days)
    found = list(examples(source.histories, moments, source.end, profile_settings))
    made = []
    for days in TUNING_DAYS:
        earlier = [moment - 1 for moment in moments if moment <= source.end + 1 - days * DAY_MS]
        as_of = np.fromiter((example.as_of for example in found), np.int64, len(found))
        rows = split(as_of, earlier[-1], settings) if earlier else None
        if rows is None or not len(rows.early) or not len(rows.later):
            raise TooLittleHistory(
                f"the events of {called} span {(source.end - source.first) // DAY_MS + 1} days: tuning needs about "
                "seventeen months, to choose before the cut-offs that figures are of; train without it"
            )
        made.append(_judge(source, found, earlier[-1], settings, report))
    return made


def _judge(source: Source, found: Sequence[Example], until: int, settings: TrainingSettings, report: Report) -> Judge:
    known = known_at(source, found, until, settings, report)
    scored = set(eligible(source.journeys, until))
    asked = [
        each for each in known.examples if each.as_of == until and each.trigger is None and each.customer_id in scored
    ]
    return Judge(
        known,
        until,
        example_arrays(asked, known.catalogue, report),
        labels(asked, source.journeys, until + HORIZONS_DAYS[-1] * DAY_MS, known.catalogue),
    )


def loss_of(part: Part, judge: Judge, settings: TrainingSettings) -> float:
    """Of networks that are trained with ``settings`` on what was known at the cut-off, on what came after it.

    Hazards: mean log loss of churn within each horizon, calibrated as it is served. Query: the loss that it is trained
    on, for customers who bought again within the longest horizon.
    """
    if part == "hazards":
        return _hazard_loss(judge, settings)
    return _query_loss(judge, settings)


def _hazard_loss(judge: Judge, settings: TrainingSettings) -> float:
    alone = msgspec.structs.replace(settings, query_epochs=0)
    fitted = fit(judge.known.arrays, judge.known.labels, judge.known.items, judge.until, alone, _quiet)
    with torch.no_grad():
        hazard = fitted.network.hazards(torch.from_numpy(judge.asked.tensors["stats"].astype(np.float32)))
        raw = raw_churn(hazard).numpy().astype(np.float64)
    odds = np.log(raw / (1 - raw)) * fitted.calibration.slope + fitted.calibration.intercept
    churned = np.stack([judge.outcomes.churned(horizon) for horizon in range(len(HORIZONS_DAYS))], axis=1)
    # -log of the probability of what happened, without overflow.
    return float(np.logaddexp(0.0, np.where(churned > 0, -odds, odds)).mean())


def _query_loss(judge: Judge, settings: TrainingSettings) -> float:
    network = fit_queries(judge.known.arrays, judge.known.labels, judge.known.items, judge.until, settings, _quiet)
    again = np.flatnonzero((judge.outcomes.next_items >= 0).any(axis=1))
    total = 0.0
    with torch.no_grad():
        vectors = network.item_vectors(judge.known.items.tokens)
        popularity = network.popularity_weight * judge.known.items.log_popularity
        for start in range(0, len(again), _ASK_BATCH):
            rows = again[start : start + _ASK_BATCH]
            inputs = batch_of(judge.asked, rows)
            del inputs["stats"]
            wanted = torch.from_numpy(judge.outcomes.next_items[rows].astype(np.int64))
            total += len(rows) * float(next_item_loss(network.queries(**inputs), vectors, popularity, wanted))
    return total / max(1, len(again))


def _quiet(what: str, done: int, of: int) -> None:
    """Fits of some seconds: trials are what is counted."""

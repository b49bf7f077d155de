"""Makes a model from event files, end to end: fold, fit, measure on later periods, fit again on everything, export.

The figures of the card come from networks that knew nothing from after their cut-off; the shipped network has the
same settings and all the data. Called by ``tidemark train``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from serving.catalogue import Catalogue
from serving.dataset import Example, by_customer, calendar_cutoffs, examples
from serving.evaluation.predictions import Predictions, predict_at
from serving.evaluation.report import evaluate, sellable, thresholds
from serving.evaluation.score_levels import score_levels
from serving.export import export
from serving.features import FEATURE_SCHEMA, FEATURES
from serving.history import file_sha256, journeys, read_events
from serving.holdout import demo_customers
from serving.item_statistics import ItemStatistics
from serving.model.network import ServedNetwork
from serving.model_card import DataLicence, ModelCard, Period
from serving.ranking import RankWeights
from serving.reference import chosen_reference, with_reference
from serving.scorer import OUTPUTS, Tensors
from serving.training.arrays import Report
from serving.training.checkpoints import NOTHING_KEPT, SECONDS_BETWEEN, Checkpoints
from serving.training.enough import TooLittleHistory, check_customers
from serving.training.fit import Fitted, fit, split
from serving.training.known import known_at
from serving.training.logs import Log, named, unheard
from serving.training.parallel import ALONE, World
from serving.training.ranker import RANKER_DAYS, fit_ranking
from serving.training.runs import Made, Measured, Source, card_of
from serving.training.settings import TrainingSettings
from stream.contracts.times import DAY_MS, to_epoch_ms, to_rfc3339
from stream.profiles.settings import ProfileSettings

FIRST_CUTOFF_DAYS: Final = 60
"""Days of history before the first calendar cut-off."""

EVALUATION_DAYS: Final = (90, 118, 146, 181)
"""Distances of the evaluation cut-offs from the end of the data, the latest first: churn is known at all of them,
revenue at the earliest only."""

UNFINISHED_RUN: Final = ".training"
"""Folder of the repository in which a run keeps what it has finished."""


def train(
    paths: Sequence[Path],
    out: Path,
    settings: TrainingSettings,
    profile_settings: ProfileSettings,
    licences: Sequence[DataLicence] = (),
    report: Report = lambda what, done, of: None,
    seconds_between: float = SECONDS_BETWEEN,
    log: Log = unheard,
    called: str = "",
    world: World = ALONE,
) -> ModelCard:
    """Train, measure and export version 1 of the customer model into the repository ``out``.

    A run that was killed goes on where it was when it is started again with the same arguments, and ends the same.

    Args:
        paths: files of canonical events; seven months of history at least, better two years.
        licences: of the data, for the card.
        report: told of progress.
        seconds_between: two states that a fit leaves for a run that goes on.
        log: told the curves of every network.
        called: what errors call the events; empty: the names of the files.
        world: processes that do it together, each called with the same arguments; the first one measures and writes.

    Raises:
        UnreadableEvents: a file holds something else.
        TooLittleHistory: it is too short, or nobody is left to learn from.
    """
    called = called or ", ".join(map(str, paths))
    torch.set_num_threads(settings.threads)
    source = read_source(paths, profile_settings, called)
    cutoffs = calendar_cutoffs(source.first + FIRST_CUTOFF_DAYS * DAY_MS, source.end, settings.calendar_step_days)
    found = [e for e in examples(source.histories, cutoffs, source.end, profile_settings) if e.as_of > cutoffs[0]]

    ends = [source.end, *(source.end - days * DAY_MS for days in EVALUATION_DAYS)]
    _check_span(source, found, ends, settings, called)
    kept = Checkpoints(out / UNFINISHED_RUN, run_of(paths, settings, profile_settings), seconds_between, world)

    def held_out(name: str, cutoff: int) -> Measured:
        made = make(source, found, cutoff - 1, settings, report, kept.within(name), named(log, name), world)
        return world.from_first(lambda: measure(made, source, profile_settings, settings.alert_budget_share))

    measured: list[Measured] = []
    for days in EVALUATION_DAYS:
        cutoff = source.end + 1 - days * DAY_MS
        name = f"held out {to_rfc3339(cutoff)[:10]}"
        measured.append(kept.step(name, partial(held_out, name, cutoff)))
        report("evaluation", len(measured), len(EVALUATION_DAYS))
    shipped = kept.step(
        "shipped",
        lambda: make(source, found, source.end, settings, report, kept.within("shipped"), named(log, "shipped"), world),
    )
    levels = score_levels(said_by(shipped, source, profile_settings), source.journeys)
    latest = [example for example in found if example.as_of == cutoffs[-1] - 1 and example.trigger is None]
    shop = Catalogue.from_items((), shop=shipped.shop)
    unwritten = with_reference(
        card_of(paths, source, shipped, measured, settings, licences, levels),
        chosen_reference(latest, source.histories, shop, profile_settings.currency),
    )
    card = world.from_first(lambda: export(shipped.fitted.served(), shipped.tower, shipped.shop, unwritten, out))
    kept.forget()
    return card


def measure(made: Made, source: Source, settings: ProfileSettings, budget_share: float) -> Measured:
    """Figures of a network at the moment until which it knows everything."""
    said = said_by(made, source, settings)
    return Measured(
        made.periods[0],
        evaluate(said, source.journeys, source.end),
        thresholds(said, source.journeys, source.end, budget_share),
    )


def said_by(made: Made, source: Source, settings: ProfileSettings) -> Predictions:
    """What a network says of everybody at the moment until which it knows everything."""
    statistics_then = ItemStatistics.learned(source.journeys, made.until)
    catalogue = sellable(source.events, made.until, made.tower, made.shop._replace(items=statistics_then))
    predict = predictor(made.fitted.served())
    return predict_at(source.histories, source.journeys, made.until + 1, catalogue, predict, settings)


def run_of(paths: Sequence[Path], settings: TrainingSettings, profile_settings: ProfileSettings) -> str:
    """All that a run depends on: what was kept of another is not gone on with."""
    return repr((settings, profile_settings, FEATURE_SCHEMA, [file_sha256(path) for path in paths]))


def predictor(network: ServedNetwork) -> Any:
    """``report.Predict`` of a torch network."""

    def predict(tensors: Tensors) -> Mapping[str, npt.NDArray[Any]]:
        with torch.no_grad():
            outputs = network(*(torch.from_numpy(tensors[spec.name]) for spec in FEATURES))
        return {spec.name: output.numpy() for spec, output in zip(OUTPUTS, outputs, strict=True)}

    return predict


def read_source(paths: Sequence[Path], settings: ProfileSettings, called: str) -> Source:
    everything = by_customer(read_events(paths, settings))
    check_customers(everything, called)
    demo = demo_customers(everything)
    histories = {customer: events for customer, events in everything.items() if customer not in demo}
    events = [event for own in histories.values() for event in own]
    times = [to_epoch_ms(event.time) for event in events]
    # The last day counts as complete.
    end = (max(times) // DAY_MS + 1) * DAY_MS - 1
    return Source(events, histories, journeys(events, settings), settings, demo, min(times), end)


def _check_span(
    source: Source, found: Sequence[Example], ends: Sequence[int], settings: TrainingSettings, called: str
) -> None:
    # A fit would say so too, but the earliest comes last, after the others took their minutes.
    as_of = np.fromiter((example.as_of for example in found), np.int64, len(found))
    for until in ends:
        rows = split(as_of, until, settings)
        if not len(rows.early) or not len(rows.later):
            raise TooLittleHistory(
                f"the events of {called} span too little time, {(source.end - source.first) // DAY_MS + 1} days: a "
                "model needs about seven months of history, better two years"
            )


def make(
    source: Source,
    found: Sequence[Example],
    until: int,
    settings: TrainingSettings,
    report: Report,
    kept: Checkpoints = NOTHING_KEPT,
    log: Log = unheard,
    world: World = ALONE,
) -> Made:
    """Learn season, purchase rates, network and ranking from what was known at ``until`` (epoch milliseconds)."""
    then = known_at(source, found, until, settings, report)
    fitted = fit(then.arrays, then.labels, then.items, until, settings, report, kept, log, world)
    tower = fitted.tower()
    catalogue = then.catalogue.with_model(tower, then.shop)
    ranking = world.from_first(lambda: _ranking(source, then.examples, fitted, catalogue, until, settings))
    rows = split(then.arrays.as_of, until, settings)
    return Made(
        fitted,
        tower,
        then.shop._replace(items=ItemStatistics.learned(source.journeys, until), ranking=ranking),
        until,
        (_period(then.arrays.as_of[rows.known]), _period(then.arrays.as_of[rows.later])),
        len(rows.known),
    )


def _ranking(
    source: Source,
    recent: Sequence[Example],
    fitted: Fitted,
    catalogue: Catalogue,
    until: int,
    settings: TrainingSettings,
) -> RankWeights:
    moments = sorted({example.as_of for example in recent if example.trigger is None})
    cutoffs: list[tuple[Sequence[Example], Catalogue]] = []
    for days in RANKER_DAYS:
        earlier = [moment for moment in moments if moment <= until - days * DAY_MS]
        if earlier:
            shop = catalogue.shop._replace(items=ItemStatistics.learned(source.journeys, earlier[-1]))
            then = [example for example in recent if example.as_of == earlier[-1] and example.trigger is None]
            cutoffs.append((then, catalogue.with_model(catalogue.tower, shop)))
    return fit_ranking(cutoffs, source.journeys, until, predictor(fitted.served()), settings.seed)


def _period(as_of: npt.NDArray[np.int64]) -> Period:
    return Period(_date(int(as_of.min())), _date(int(as_of.max())))


def _date(moment: int) -> str:
    return to_rfc3339(moment)[:10]

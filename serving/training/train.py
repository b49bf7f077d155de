"""Makes a model from event files, end to end: fold, fit, measure on later periods, fit again on everything, export.

The figures of the card come from networks that knew nothing from after their cut-off; the shipped network has the
same settings and all the data. Called by ``tidemark train``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from serving.catalogue import Catalogue
from serving.co_purchase import popular
from serving.dataset import Example, by_customer, calendar_cutoffs, examples
from serving.evaluation.predictions import Predictions, predict_at
from serving.evaluation.report import evaluate, sellable, thresholds
from serving.evaluation.score_levels import score_levels
from serving.export import export
from serving.features import FEATURE_SCHEMA, FEATURES
from serving.history import Journey, catalogue_items, file_sha256, journeys, read_events
from serving.holdout import demo_customers
from serving.item_statistics import ItemStatistics
from serving.model.network import ServedNetwork
from serving.model_card import HORIZONS_DAYS, DataLicence, ModelCard, Period
from serving.purchase_rates import PurchaseRates, fit_purchase_rates
from serving.ranking import RankWeights
from serving.reference import chosen_reference, with_reference
from serving.scorer import OUTPUTS, Tensors
from serving.season import Season
from serving.shop import GIFT_SHOP_RATES, Shop
from serving.training.arrays import ExampleArrays, Labels, Report, example_arrays, labels
from serving.training.checkpoints import NOTHING_KEPT, SECONDS_BETWEEN, Checkpoints
from serving.training.enough import TooLittleHistory, check_customers
from serving.training.fit import Fitted, ItemTable, fit, split
from serving.training.logs import Log, named, unheard
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

POPULAR_DAYS: Final = 90


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
    kept = Checkpoints(out / UNFINISHED_RUN, run_of(paths, settings, profile_settings), seconds_between)

    def held_out(name: str, cutoff: int) -> Measured:
        made = make(source, found, cutoff - 1, settings, report, kept.within(name), named(log, name))
        return measure(made, source, profile_settings, settings.alert_budget_share)

    measured: list[Measured] = []
    for days in EVALUATION_DAYS:
        cutoff = source.end + 1 - days * DAY_MS
        name = f"held out {to_rfc3339(cutoff)[:10]}"
        measured.append(kept.step(name, partial(held_out, name, cutoff)))
        report("evaluation", len(measured), len(EVALUATION_DAYS))
    shipped = kept.step(
        "shipped",
        lambda: make(source, found, source.end, settings, report, kept.within("shipped"), named(log, "shipped")),
    )
    levels = score_levels(said_by(shipped, source, profile_settings), source.journeys)
    latest = [example for example in found if example.as_of == cutoffs[-1] - 1 and example.trigger is None]
    shop = Catalogue.from_items((), shop=shipped.shop)
    card = export(
        shipped.fitted.served(),
        shipped.tower,
        shipped.shop,
        with_reference(
            card_of(paths, source, shipped, measured, settings, licences, levels),
            chosen_reference(latest, source.histories, shop, profile_settings.currency),
        ),
        out,
    )
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
) -> Made:
    """Learn season, purchase rates, network and ranking from what was known at ``until`` (epoch milliseconds)."""
    then = known_at(source, found, until, settings, report)
    fitted = fit(then.arrays, then.labels, then.items, until, settings, report, kept, log)
    tower = fitted.tower()
    ranking = _ranking(source, then.examples, fitted, then.catalogue.with_model(tower, then.shop), until, settings)
    rows = split(then.arrays.as_of, until, settings)
    return Made(
        fitted,
        tower,
        then.shop._replace(items=ItemStatistics.learned(source.journeys, until), ranking=ranking),
        until,
        (_period(then.arrays.as_of[rows.known]), _period(then.arrays.as_of[rows.later])),
        len(rows.known),
    )


class Known(NamedTuple):
    """What networks are fitted on: all that was known at a moment."""

    examples: list[Example]
    shop: Shop
    """Season and purchase rates of that moment."""
    catalogue: Catalogue
    arrays: ExampleArrays
    labels: Labels
    items: ItemTable


def known_at(source: Source, found: Sequence[Example], until: int, settings: TrainingSettings, report: Report) -> Known:
    """The examples up to ``until`` (epoch milliseconds), as far as their outcomes were known then."""
    season = Season.learned(source.journeys.values(), until)
    shop = Shop.unknown()._replace(
        first=source.first, season=season, rates=purchase_rates(source.journeys, season, until)
    )
    catalogue = Catalogue.from_items(catalogue_items(source.events, until), shop=shop)
    oldest = until - (HORIZONS_DAYS[-1] + settings.oldest_days) * DAY_MS
    recent = [example for example in found if oldest <= example.as_of <= until]
    log_popularity = np.log1p(_buyers(source.journeys, until, catalogue)).astype(np.float32)
    return Known(
        recent,
        shop,
        catalogue,
        example_arrays(recent, catalogue, report),
        labels(recent, source.journeys, until, catalogue),
        ItemTable(torch.from_numpy(catalogue.tokens[:-1].astype(np.int64)), torch.from_numpy(log_popularity)),
    )


def purchase_rates(journeys: Mapping[str, Journey], season: Season, until: int) -> PurchaseRates:
    """BG/NBD in weeks of shop days, on everybody who bought up to ``until``."""
    now = float(season.elapsed(np.array([until + 1]))[0])
    rows = []
    for customer in sorted(journeys):
        times = journeys[customer].times
        days = np.unique(times[times <= until] // DAY_MS)
        if len(days):
            first, last = season.elapsed(days[[0, -1]] * DAY_MS)
            rows.append((len(days) - 1, (last - first) / 7, (now - first) / 7))
    if not rows:
        return GIFT_SHOP_RATES
    table = np.array(rows, np.float64)
    return fit_purchase_rates(table[:, 0], table[:, 1], table[:, 2])


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


def _buyers(journeys: Mapping[str, Journey], until: int, catalogue: Catalogue) -> npt.NDArray[np.int64]:
    """Customers who bought each item in the last ``POPULAR_DAYS``: int64[N]."""
    buyers = popular(journeys, until, POPULAR_DAYS)
    return np.array([buyers.get(item, 0) for item in catalogue.item_ids], np.int64)


def _period(as_of: npt.NDArray[np.int64]) -> Period:
    return Period(_date(int(as_of.min())), _date(int(as_of.max())))


def _date(moment: int) -> str:
    return to_rfc3339(moment)[:10]

"""Makes a model from event files, end to end: fold, fit, measure on later periods, fit again on everything, export.

The figures of the card come from networks that knew nothing from after their cut-off; the shipped network has the
same settings and all the data. Called by ``tidemark train``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from serving.catalogue import Catalogue
from serving.dataset import Example, by_customer, calendar_cutoffs, examples
from serving.evaluation.predictions import predict_at
from serving.evaluation.report import Evaluation, evaluate, sellable, thresholds
from serving.export import export
from serving.features import FEATURE_SCHEMA, FEATURES
from serving.history import Journey, catalogue_items, file_sha256, journeys, read_events
from serving.holdout import demo_customers, listed_hash
from serving.item_tower import ItemTower
from serving.model.network import ServedNetwork
from serving.model_card import HORIZONS_DAYS, MODEL_NAME, DataFile, DataLicence, ModelCard, Period, Threshold
from serving.scorer import OUTPUTS, Tensors
from serving.training.arrays import ExampleArrays, Report, example_arrays, labels
from serving.training.fit import CALIBRATION_DAYS, Fitted, ItemTable, fit, split
from serving.training.settings import TrainingSettings
from stream.contracts.events import Event
from stream.contracts.ids import item_hash
from stream.contracts.times import DAY_MS, to_epoch_ms, to_rfc3339
from stream.profiles.fold import FOLD_VERSION
from stream.profiles.settings import ProfileSettings

FIRST_CUTOFF_DAYS: Final = 60
"""Days of history before the first calendar cut-off."""

EVALUATION_DAYS: Final = (HORIZONS_DAYS[-1], 180)
"""Distances of the evaluation cut-offs from the end of the data: churn is known at both, revenue at the earlier one
only."""

POPULAR_DAYS: Final = 90


class Made(NamedTuple):
    """A network that knows nothing from after ``until``, and what goes with it."""

    fitted: Fitted
    tower: ItemTower
    until: int


class _Source(NamedTuple):
    """The history that everything is made from, without the demo's customers."""

    events: list[Event]
    histories: dict[str, list[Event]]
    journeys: dict[str, Journey]
    settings: ProfileSettings
    demo: set[str]
    first: int
    end: int


def train(
    paths: Sequence[Path],
    out: Path,
    settings: TrainingSettings,
    profile_settings: ProfileSettings,
    licences: Sequence[DataLicence] = (),
    report: Report = lambda what, done, of: None,
) -> ModelCard:
    """Train, measure and export version 1 of the customer model into the repository ``out``.

    Args:
        paths: files of canonical events; seven months of history at least, better two years.
        licences: of the data, for the card.
        report: told of progress.

    Raises:
        UnreadableEvents: a file holds something else.
        ValueError: too little history.
    """
    torch.set_num_threads(settings.threads)
    source = _read(paths, profile_settings)
    cutoffs = calendar_cutoffs(source.first + FIRST_CUTOFF_DAYS * DAY_MS, source.end, settings.calendar_step_days)
    found = [e for e in examples(source.histories, cutoffs, source.end, profile_settings) if e.as_of > cutoffs[0]]
    # A word is a word at any time: names need no cut-off. What items are known to be popular, or to exist, has one.
    named = Catalogue.from_items(catalogue_items(source.events, source.end))
    arrays = example_arrays(found, named, report)

    measured: list[tuple[Made, Evaluation, list[Threshold]]] = []
    for days in EVALUATION_DAYS:
        cutoff = source.end + 1 - days * DAY_MS
        made = _make(source, found, arrays, cutoff - 1, settings, report)
        catalogue = sellable(source.events, cutoff - 1, made.tower)
        said = predict_at(
            source.histories, source.journeys, cutoff, catalogue, predictor(made.fitted.served()), profile_settings
        )
        found_thresholds = thresholds(said, source.journeys, source.end, settings.alert_budget_share)
        measured.append((made, evaluate(said, source.journeys, source.end), found_thresholds))
        report("evaluation", len(measured), len(EVALUATION_DAYS))

    shipped = _make(source, found, arrays, source.end, settings, report)
    card = _card(paths, source, arrays, shipped, measured, settings, licences)
    return export(shipped.fitted.served(), shipped.tower, card, out)


def predictor(network: ServedNetwork) -> Any:
    """``report.Predict`` of a torch network."""

    def predict(tensors: Tensors) -> Mapping[str, npt.NDArray[Any]]:
        with torch.no_grad():
            outputs = network(*(torch.from_numpy(tensors[spec.name]) for spec in FEATURES))
        return {spec.name: output.numpy() for spec, output in zip(OUTPUTS, outputs, strict=True)}

    return predict


def _read(paths: Sequence[Path], settings: ProfileSettings) -> _Source:
    everything = by_customer(read_events(paths, settings))
    demo = demo_customers(everything)
    histories = {customer: events for customer, events in everything.items() if customer not in demo}
    events = [event for own in histories.values() for event in own]
    times = [to_epoch_ms(event.time) for event in events]
    if not times:
        raise ValueError(
            f"no customer's events in {', '.join(map(str, paths))}: `tidemark convert` makes canonical events"
        )
    # The last day counts as complete.
    end = (max(times) // DAY_MS + 1) * DAY_MS - 1
    return _Source(events, histories, journeys(events, settings), settings, demo, min(times), end)


def _make(
    source: _Source,
    found: Sequence[Example],
    arrays: ExampleArrays,
    until: int,
    settings: TrainingSettings,
    report: Report,
) -> Made:
    catalogue = Catalogue.from_items(catalogue_items(source.events, until))
    known = labels(found, source.journeys, until, catalogue)
    log_popularity = np.log1p(_buyers(source.journeys, until, catalogue)).astype(np.float32)
    items = ItemTable(
        torch.from_numpy(catalogue.tokens[:-1].astype(np.int64)), torch.from_numpy(log_popularity), catalogue.hashes
    )
    fitted = fit(arrays, known, items, until, settings, report)
    return Made(fitted, fitted.tower(items), until)


def _buyers(journeys: Mapping[str, Journey], until: int, catalogue: Catalogue) -> npt.NDArray[np.int64]:
    """Customers who bought each item in the last ``POPULAR_DAYS``: int64[N]."""
    counts = np.zeros(len(catalogue) + 1, np.int64)
    for journey in journeys.values():
        window = np.flatnonzero((journey.times > until - POPULAR_DAYS * DAY_MS) & (journey.times <= until))
        own = {item for i in window for item in journey.items[i]}
        np.add.at(counts, catalogue.rows(np.fromiter(map(item_hash, own), np.uint64, len(own))), 1)
    return counts[:-1]


def _card(
    paths: Sequence[Path],
    source: _Source,
    arrays: ExampleArrays,
    shipped: Made,
    measured: Sequence[tuple[Made, Evaluation, list[Threshold]]],
    settings: TrainingSettings,
    licences: Sequence[DataLicence],
) -> ModelCard:
    latest, latest_evaluation, latest_thresholds = measured[0]
    figures: dict[str, dict[str, float]] = {}
    for _, evaluation, _ in measured:
        for figure in evaluation.figures:
            said = {who: round(value, 4) for who, value in figure.values.items()}
            ends = {"difference": figure.difference, "low": figure.interval.low, "high": figure.interval.high}
            compared = {name: round(value, 4) for name, value in ends.items() if np.isfinite(value)}
            figures[f"{figure.metric} at {evaluation.cutoff}"] = said | compared
    flat: dict[str, float | int | str | bool] = {}
    for name, value in msgspec.to_builtins(settings).items():
        flat |= {f"network.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
    return ModelCard(
        name=MODEL_NAME,
        version="",
        feature_schema=FEATURE_SCHEMA,
        fold_version=FOLD_VERSION,
        currency=source.settings.currency,
        data=[_data_file(path, source) for path in paths],
        licences=list(licences),
        training=_training_period(arrays, shipped.until),
        calibration=_calibration_period(shipped.until),
        evaluation=Period(min(e.cutoff for _, e, _ in measured), max(e.cutoff for _, e, _ in measured)),
        evaluated_training=_training_period(arrays, latest.until),
        examples=len(split(arrays.as_of, shipped.until).training),
        metrics={name: figures[name] for name in sorted(figures)},
        base_rates={name: round(rate, 4) for name, rate in latest_evaluation.base_rates.items()},
        active_base_rates={name: round(rate, 4) for name, rate in latest_evaluation.active_base_rates.items()},
        thresholds=latest_thresholds,
        settings=flat | {"epochs_kept": shipped.fitted.epochs},
        demo_customers=sorted(map(listed_hash, source.demo)),
    )


def _data_file(path: Path, source: _Source) -> DataFile:
    return DataFile(
        name=path.name,
        sha256=file_sha256(path),
        events=len(source.events),
        customers=len(source.histories),
        first_event=to_rfc3339(source.first),
        last_event=to_rfc3339(source.end),
    )


def _training_period(arrays: ExampleArrays, until: int) -> Period:
    as_of = arrays.as_of[split(arrays.as_of, until).training]
    return Period(_date(int(as_of.min())), _date(int(as_of.max())))


def _calibration_period(until: int) -> Period:
    last = until - HORIZONS_DAYS[-1] * DAY_MS
    return Period(_date(last - CALIBRATION_DAYS * DAY_MS), _date(last))


def _date(moment: int) -> str:
    return to_rfc3339(moment)[:10]

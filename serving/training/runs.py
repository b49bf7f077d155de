"""What a training run is made from and what it makes: the history, networks that know nothing from after a moment, and
the card of the one that is shipped.

Called by ``serving.training.train``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from serving.evaluation.report import Evaluation
from serving.features import FEATURE_SCHEMA
from serving.history import Journey, file_sha256
from serving.holdout import listed_hash
from serving.item_tower import ItemTower
from serving.model_card import MODEL_NAME, DataFile, DataLicence, ModelCard, Period, ScoreLevels, Threshold
from serving.shop import Shop
from serving.training.fit import Fitted
from serving.training.settings import TrainingSettings, flat
from stream.contracts.events import Event
from stream.contracts.times import to_rfc3339
from stream.profiles.fold import FOLD_VERSION
from stream.profiles.settings import ProfileSettings


class Made(NamedTuple):
    """A network that knows nothing from after ``until``, and what goes with it."""

    fitted: Fitted
    tower: ItemTower
    shop: Shop
    until: int
    periods: tuple[Period, Period]
    """Cut-offs that were trained on, and those of them that calibrated."""
    examples: int


class Measured(NamedTuple):
    """How a network did at the moment until which it knew everything."""

    training: Period
    evaluation: Evaluation
    thresholds: list[Threshold]


class Source(NamedTuple):
    """The history that everything is made from, without the demo's customers."""

    events: list[Event]
    histories: dict[str, list[Event]]
    journeys: dict[str, Journey]
    settings: ProfileSettings
    demo: set[str]
    first: int
    end: int


def card_of(
    paths: Sequence[Path],
    source: Source,
    shipped: Made,
    measured: Sequence[Measured],
    settings: TrainingSettings,
    licences: Sequence[DataLicence],
    levels: Sequence[ScoreLevels] = (),
) -> ModelCard:
    latest = measured[0]
    figures: dict[str, dict[str, float]] = {}
    for _, evaluation, _ in measured:
        for figure in evaluation.figures:
            said = {who: round(float(value), 4) for who, value in figure.values.items() if np.isfinite(value)}
            ends = {"difference": figure.difference, "low": figure.interval.low, "high": figure.interval.high}
            compared = {name: round(float(value), 4) for name, value in ends.items() if np.isfinite(value)}
            figures[f"{figure.metric} at {evaluation.cutoff}"] = said | compared
    return ModelCard(
        name=MODEL_NAME,
        version="",
        feature_schema=FEATURE_SCHEMA,
        fold_version=FOLD_VERSION,
        currency=source.settings.currency,
        data=[_data_file(path, source) for path in paths],
        licences=list(licences),
        training=shipped.periods[0],
        calibration=shipped.periods[1],
        evaluation=Period(min(e.cutoff for _, e, _ in measured), max(e.cutoff for _, e, _ in measured)),
        evaluated_training=latest.training,
        examples=shipped.examples,
        metrics={name: figures[name] for name in sorted(figures)},
        base_rates={name: round(rate, 4) for name, rate in latest.evaluation.base_rates.items()},
        active_base_rates={name: round(rate, 4) for name, rate in latest.evaluation.active_base_rates.items()},
        thresholds=latest.thresholds,
        settings=flat(settings) | {"epochs_kept": shipped.fitted.epochs},
        demo_customers=sorted(map(listed_hash, source.demo)),
        score_levels=list(levels),
    )


def _data_file(path: Path, source: Source) -> DataFile:
    return DataFile(
        name=path.name,
        sha256=file_sha256(path),
        events=len(source.events),
        customers=len(source.histories),
        first_event=to_rfc3339(source.first),
        last_event=to_rfc3339(source.end),
    )

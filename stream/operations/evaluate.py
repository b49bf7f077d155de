"""Measures a model of the repository at moments of a recorded history, beside simple baselines, by folding up to each
moment.

What is measured and how is decided in `serving.evaluation`; the model runs in this process, without a server. Called by
`tidemark evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from serving.dataset import by_customer
from serving.evaluation.report import Evaluation, evaluate, predict_at, sellable
from serving.history import journeys
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import ModelCard, read_model_card
from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.profiles.settings import ProfileSettings


class ModelEvaluation(msgspec.Struct, frozen=True):
    """Figures of one model at one or more cut-offs."""

    card: ModelCard
    cutoffs: list[Evaluation]


def evaluate_model(
    events: Iterable[Event],
    folder: Path,
    cutoffs: Sequence[int],
    settings: ProfileSettings,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ModelEvaluation:
    """Score everybody at each cut-off and compare with what they did afterwards.

    Args:
        events: canonical events; what lies behind a cut-off is used for the outcome alone.
        folder: version folder of the model.
        cutoffs: epoch milliseconds; without any, 90 and 180 days before the end of the history.
        on_progress: called with the cut-offs done and in all.

    Raises:
        ModelMismatch: the model was made for other features than this program makes.
        ValueError: no events.
    """
    card = read_model_card(folder)
    scorer = OnnxScorer(folder, card)
    tower = read_item_tower(folder / ITEM_TOWER_FILE)
    history = sorted(events, key=lambda event: to_epoch_ms(event.time))
    if not history:
        raise ValueError("there are no events to evaluate on")
    # The last day is over: who did not buy on it did not buy.
    end = (to_epoch_ms(history[-1].time) // DAY_MS + 1) * DAY_MS - 1
    chosen = list(cutoffs) or [end - days * DAY_MS for days in (180, 90)]
    histories, purchases = by_customer(history), journeys(history, settings)
    found: list[Evaluation] = []
    for cutoff in chosen:
        catalogue = sellable(history, cutoff - 1, tower)
        said = predict_at(histories, purchases, cutoff, catalogue, scorer.run, settings)
        found.append(evaluate(said, purchases, end))
        on_progress(len(found), len(chosen))
    return ModelEvaluation(card, found)

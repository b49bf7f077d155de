"""Measures a model of the repository at moments of a recorded history, beside the baselines, by folding up to each
moment.

What is measured and how is decided in `serving.evaluation`; the model runs in this process, without a server. Called by
`tidemark evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from serving.dataset import by_customer
from serving.evaluation.baselines.boosted import boosting_installed
from serving.evaluation.predictions import predict_at, read_predictions, write_predictions
from serving.evaluation.report import Evaluation, evaluate, sellable
from serving.evaluation.segments import Groups
from serving.history import catalogue_items, journeys
from serving.in_process import OnnxScorer
from serving.item_statistics import ItemStatistics
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import ModelCard, read_model_card
from serving.scorer import ModelMismatch
from serving.shop import SHOP_FILE, read_shop
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, to_epoch_ms, to_rfc3339
from stream.profiles.settings import ProfileSettings


class NothingToEvaluate(ValueError):
    """The history holds nothing that could be measured at a cut-off; the message says what it holds."""


class OtherFeatures(ValueError):
    """The model was made for other features than this program makes."""


class ModelEvaluation(msgspec.Struct, frozen=True):
    """Figures of one model at one or more cut-offs."""

    card: ModelCard
    cutoffs: list[Evaluation]
    unseen_customers: int = 0
    """Customers of the history that the card lists as kept out of training."""
    customers: int = 0
    """All customers of the history who bought."""
    missing: list[str] = []
    """Baselines that are not installed."""

    def unseen(self, cutoff: str) -> bool:
        """True where the model knew nothing from after ``cutoff`` (ISO date), or nothing of anybody here."""
        known_until = self.card.known_until
        return bool(known_until) and (known_until < cutoff or self.unseen_customers == self.customers)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured, and where predictions go."""

    cutoffs: Sequence[int] = ()
    """Epoch milliseconds; without any, 90 and 180 days before the end of the history."""
    items: Sequence[CatalogueItem] = ()
    """The shop's catalogue, beside what the events name."""
    predictions: Path | None = None
    """Where to write the predictions of the only cut-off."""
    against: Sequence[Path] = ()
    """Predictions of other models at the same cut-off."""
    detailed: bool = False
    """Curves and segments too."""
    high_value_from: float = 1_000.0
    """Revenue of a year from which a customer counts as of high value, in the configured currency."""


def evaluate_model(
    events: Iterable[Event],
    folder: Path,
    asked: Asked,
    settings: ProfileSettings,
    on_progress: Callable[[str], None] = lambda what: None,
) -> ModelEvaluation:
    """Score everybody at each cut-off and compare with what they did afterwards.

    Args:
        events: canonical events; what lies behind a cut-off is used for the outcome alone.
        folder: version folder of the model.
        on_progress: told what is being done.

    Raises:
        OtherFeatures: the model was made for other features than this program makes.
        DifferentCutoffs: a file of ``against`` is about another cut-off or other customers.
        UnreadablePredictions: a file of ``against`` holds something else.
        NothingToEvaluate: no events, or no purchase in the year before a cut-off.
    """
    card = read_model_card(folder)
    scorer = model_scorer(folder, card)
    tower, shop = read_item_tower(folder / ITEM_TOWER_FILE), read_shop(folder / SHOP_FILE)
    on_progress("reading events")
    history = sorted(events, key=lambda event: to_epoch_ms(event.time))
    if not history:
        raise NothingToEvaluate("there are no events to evaluate on")
    # The last day is over: who did not buy on it did not buy.
    end = (to_epoch_ms(history[-1].time) // DAY_MS + 1) * DAY_MS - 1
    chosen = list(asked.cutoffs) or [end + 1 - days * DAY_MS for days in (180, 90)]
    histories, purchases = by_customer(history), journeys(history, settings)
    found: list[Evaluation] = []
    for cutoff in chosen:
        on_progress("scoring")
        # As a shop that runs the model has them: from what was bought until then, not from when it was trained.
        learned = ItemStatistics.learned(purchases, cutoff - 1)
        catalogue = sellable(history, cutoff - 1, tower, shop._replace(items=learned), asked.items)
        name = f"{card.name} {card.version}"
        said = predict_at(histories, purchases, cutoff, catalogue, scorer.run, settings, name)
        if not said.customers:
            raise NothingToEvaluate(
                f"nobody bought within the year before {said.cutoff}: choose a --cutoff within the history, which runs "
                f"from {day_of(to_epoch_ms(history[0].time))} to {day_of(end)}"
            )
        others = {str(path): read_predictions(path, said) for path in asked.against}
        if asked.predictions is not None:
            write_predictions(asked.predictions, said)
        groups = Groups(asked.high_value_from, _countries(history, cutoff)) if asked.detailed else None
        names = {item.item_id: item.item_name for item in (*catalogue_items(history, cutoff - 1), *asked.items)}
        found.append(evaluate(said, purchases, end, others, on_progress, names=names, groups=groups))
    missing = [] if boosting_installed() else ["lightgbm"]
    return ModelEvaluation(card, found, card.kept_out(purchases), len(purchases), missing)


def model_scorer(folder: Path, card: ModelCard) -> OnnxScorer:
    """The model of a version folder, run in this process.

    Raises:
        OtherFeatures: it was made for other features than this program makes.
    """
    try:
        return OnnxScorer(folder, card)
    except ModelMismatch as error:
        # To a worker this is a server that cannot answer; here it is a folder that was chosen wrongly.
        raise OtherFeatures(str(error)) from error


def day_of(moment: int) -> str:
    """ISO date (UTC) of ``moment`` (epoch milliseconds)."""
    return to_rfc3339(moment)[:10]


def _countries(history: Iterable[Event], cutoff: int) -> dict[str, str]:
    """The last country of each customer, as far as events before ``cutoff`` (epoch milliseconds) name one."""
    return {
        event.customer_id: event.country
        for event in history
        if event.customer_id and event.country and to_epoch_ms(event.time) < cutoff
    }

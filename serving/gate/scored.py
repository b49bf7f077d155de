"""What two versions say of the same customers at the same moments, and what became of the customers.

Only customers count whom neither version was trained on, or whose moment lies behind everything that either was trained
on. Called by ``serving.gate.comparison``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.dataset import by_customer
from serving.evaluation import metrics
from serving.evaluation.predictions import Predictions, predict_at
from serving.evaluation.report import sellable
from serving.evaluation.truth import Truth, truth_after
from serving.features import tensors
from serving.history import journeys
from serving.holdout import listed_hash
from serving.in_process import OnnxScorer
from serving.item_statistics import ItemStatistics
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import HORIZONS_DAYS, ModelCard
from serving.registry import RegisteredVersion
from serving.shop import SHOP_FILE, read_shop
from stream.contracts.events import Event
from stream.contracts.times import to_rfc3339
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings

Floats = npt.NDArray[np.float64]

HORIZON_DAYS: Final = 90
"""Of the churn that versions are compared by."""

FEWEST_CUSTOMERS: Final = 100
"""Of fewer, nothing can be told about differences between models."""

_CANARIES: Final = 128
_RECALL_AT: Final = 20


class NothingToCompare(ValueError):
    """The events do not tell the versions apart."""


class Scored(NamedTuple):
    """What both versions said of N customers at the cut-offs, and what became of them; arrays have N rows."""

    owner: npt.NDArray[np.intp]
    """Which customer: rows of one customer at several cut-offs are drawn together."""
    churned: npt.NDArray[np.bool_]
    revenue: Floats
    """NaN where it is not known yet."""
    history: npt.NDArray[np.int64]
    churn: tuple[Floats, Floats]
    """The present version's and the candidate's, within ``HORIZON_DAYS``."""
    expected: tuple[Floats, Floats]
    median: tuple[Floats, Floats]
    recall: tuple[Floats, Floats]
    """Of the next basket; NaN where there was none."""
    new_recall: tuple[Floats, Floats]


def score_both(
    candidate: RegisteredVersion,
    present: RegisteredVersion,
    history: Sequence[Event],
    cutoffs: Sequence[int],
    end: int,
    settings: ProfileSettings,
    on_progress: Callable[[str], None],
) -> Scored:
    """Score with both versions at each cut-off (epoch milliseconds).

    Args:
        history: canonical events, in the order of time.
        end: of the history, epoch milliseconds.
        on_progress: told what is being done.

    Raises:
        NothingToCompare: a cut-off lies so near the end that nobody's churn is known, or hardly any customer counts.
    """
    histories, purchases = by_customer(history), journeys(history, settings)
    parts: list[Scored] = []
    places: dict[str, int] = {}
    for cutoff in cutoffs:
        unseen = {
            customer: events
            for customer, events in histories.items()
            if _unseen(customer, cutoff, candidate.card) and _unseen(customer, cutoff, present.card)
        }
        if not unseen:
            continue
        on_progress("reading the catalogue")
        items = sellable(history, cutoff - 1, None)
        sold = ItemStatistics.learned(purchases, cutoff - 1)
        known = {customer: purchases[customer] for customer in unseen if customer in purchases}
        both: list[Predictions] = []
        for version in (present, candidate):
            on_progress(f"scoring with {version.card.version}")
            tower, shop = read_item_tower(version.folder / ITEM_TOWER_FILE), read_shop(version.folder / SHOP_FILE)
            catalogue = items.with_model(tower, shop._replace(items=sold))
            predict = OnnxScorer(version.folder, version.card).run
            both.append(predict_at(unseen, known, cutoff, catalogue, predict, settings, version.card.version))
        if not both[0].customers:
            continue
        truth = truth_after(purchases, both[0].customers, cutoff - 1, end)
        if HORIZON_DAYS not in truth.churned:
            raise NothingToCompare(
                f"{HORIZON_DAYS} days after {both[0].cutoff} are not over at the end of the events: choose an earlier "
                "cut-off"
            )
        owner = np.array([places.setdefault(each, len(places)) for each in both[0].customers], np.intp)
        parts.append(_joined(owner, truth, both))
    customers = len(places)
    if customers < FEWEST_CUSTOMERS:
        raise NothingToCompare(
            f"{customers} customers can be compared on, wanted are {FEWEST_CUSTOMERS} at least: give events that lie "
            "behind what both versions were trained on, or of customers that neither has seen"
        )
    return Scored(*(_stacked([getattr(part, name) for part in parts]) for name in Scored._fields))


def _unseen(customer: str, cutoff: int, card: ModelCard) -> bool:
    if listed_hash(customer) in card.demo_customers:
        return True
    return all(to_rfc3339(cutoff) > file.last_event for file in card.data)


def _joined(owner: npt.NDArray[np.intp], truth: Truth, both: Sequence[Predictions]) -> Scored:
    place = HORIZONS_DAYS.index(HORIZON_DAYS)
    unknown = np.full(len(owner), np.nan)

    def of(what: Callable[[Predictions], Floats]) -> tuple[Floats, Floats]:
        return what(both[0]), what(both[1])

    return Scored(
        owner,
        truth.churned[HORIZON_DAYS],
        unknown if truth.revenue is None else truth.revenue,
        truth.history,
        of(lambda said: said.churn[:, place]),
        of(lambda said: said.revenue[:, 0]),
        of(lambda said: said.revenue[:, 1]),
        of(lambda said: metrics.recalls_at(said.items, truth.baskets, _RECALL_AT)),
        of(lambda said: metrics.recalls_at(said.new_items, truth.new_baskets, _RECALL_AT)),
    )


def _stacked(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    return np.concatenate(parts)


def canaries(
    version: RegisteredVersion, history: Sequence[Event], cutoff: int, settings: ProfileSettings
) -> dict[str, npt.NDArray[Any]]:
    """Tensors of some customers at ``cutoff``, and of one of whom nothing is known."""
    kept: list[dict[str, npt.NDArray[Any]]] = []

    def keep(rows: Mapping[str, npt.NDArray[Any]]) -> Mapping[str, npt.NDArray[Any]]:
        kept.append({name: array[:_CANARIES] for name, array in rows.items()})
        return OnnxScorer(version.folder, version.card).run(rows)

    histories = dict(list(by_customer(history).items())[:_CANARIES])
    own = [event for events in histories.values() for event in events]
    tower, shop = read_item_tower(version.folder / ITEM_TOWER_FILE), read_shop(version.folder / SHOP_FILE)
    catalogue = sellable(own, cutoff - 1, tower, shop)
    predict_at(histories, journeys(own, settings), cutoff, catalogue, keep, settings)
    kept.append(tensors([Profile()], [cutoff], catalogue))
    return {name: np.concatenate([rows[name] for rows in kept]) for name in kept[0]}

"""The ranking score of every item for every customer: a linear model over what several retrievers say.

Own repeats, companions of what was bought (EASE), what many buy lately, and the likeness of the item's name to the
model's query. Two sets of weights, for items that the customer bought before and for the others, learned by
``serving.training.ranker`` from next baskets. Called by ``serving.candidates``, and by training for the features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from serving.catalogue import Catalogue
    from serving.histories import OwnItems

Floats = npt.NDArray[np.float64]

OWN_FEATURES: Final = (
    "bought",
    "log_lines",
    "lines",
    "month_buyers",
    "week_buyers",
    "companion",
    "log_companion",
    "since",
    "just_now",
    "breadth",
    "likeness",
)
NEW_FEATURES: Final = (
    "month_buyers",
    "week_buyers",
    "companion",
    "log_companion",
    "log_companion_x_buyers",
    "companion_share",
    "likeness",
    "likeness_x_unknown",
)
"""Names in order. ``unknown`` is 1 for a customer without a companion of anything bought, and falls with what is known:
the weight shifts to the content of the name."""

_BUYERS_SCALE: Final = 4.0
_LINES_SCALE: Final = 3.0
_MOST_LINES: Final = 5.0
_COMPANION_FLOOR: Final = 0.01
_COMPANION_SCALE: Final = 3.0
_JUST_NOW_DAYS: Final = 14.0
_SINCE_SCALE: Final = 4.0
_BREADTH_SCALE: Final = 5.0
_FEW_LINES: Final = 1e-4


class RankWeights(NamedTuple):
    """float64 in the order of ``OWN_FEATURES`` and ``NEW_FEATURES``."""

    own: Floats
    new: Floats

    @classmethod
    def default(cls) -> RankWeights:
        """Before anything was learned: repeats first, then likeness, with a little popularity."""
        own = {"bought": 1.0, "log_lines": 0.5, "likeness": 1.0}
        new = {"likeness": 1.0, "month_buyers": 0.2}
        return cls(
            np.array([own.get(name, 0.0) for name in OWN_FEATURES]),
            np.array([new.get(name, 0.0) for name in NEW_FEATURES]),
        )


class OwnCells(NamedTuple):
    """What B customers bought, one entry for each customer and item that the catalogue knows.

    Attributes:
        cell: int64[M], ascending: customer times catalogue size plus catalogue row.
        lines: float64[M]: decayed purchase lines.
        days: float64[M]: since the last purchase of the item.
    """

    cell: npt.NDArray[np.int64]
    lines: Floats
    days: Floats


def own_cells(own: OwnItems, catalogue: Catalogue) -> OwnCells:
    """``own`` summed by customer and item, without items that the catalogue does not know."""
    rows = catalogue.rows(own.item)
    known = rows >= 0
    cell, place = np.unique(own.row[known] * len(catalogue) + rows[known], return_inverse=True)
    days = np.full(len(cell), np.inf)
    np.minimum.at(days, place, own.days[known])
    return OwnCells(cell, np.bincount(place, own.lines[known], len(cell)).astype(np.float64), days)


def companion_strength(bought: OwnCells, batch: int, catalogue: Catalogue) -> Floats:
    """float64[B, N]: EASE on the roots of the decayed lines, over the companions that are kept."""
    size = len(catalogue)
    row, item = bought.cell // max(size, 1), bought.cell % max(size, 1)
    companions, weights = catalogue.companions
    target = companions[item]
    strength = np.sqrt(bought.lines)[:, None] * weights[item]
    cells = np.where(target >= 0, row[:, None] * size + target, batch * size)
    # Each customer's own entries in their own order: a sum does not depend on who else is in the batch.
    summed = np.bincount(cells.ravel(), strength.ravel(), batch * size + 1)[:-1]
    return summed.astype(np.float64).reshape(batch, size)


def own_features(bought: OwnCells, companion: Floats, likeness: Floats, catalogue: Catalogue) -> Floats:
    """float64[M, features]: ``OWN_FEATURES`` of the own cells."""
    size = max(len(catalogue), 1)
    row, item = bought.cell // size, bought.cell % size
    month, week = catalogue.buyers
    strength = companion[row, item]
    breadth = np.bincount(row, minlength=len(companion))
    return np.column_stack(
        [
            np.ones(len(row)),
            np.log(np.maximum(bought.lines, _FEW_LINES)) / _LINES_SCALE,
            np.minimum(bought.lines, _MOST_LINES) / 2,
            month[item],
            week[item],
            np.sqrt(strength),
            _log_companion(strength),
            np.log1p(bought.days) / _SINCE_SCALE,
            np.exp(-bought.days / _JUST_NOW_DAYS),
            np.log1p(breadth[row]) / _BREADTH_SCALE,
            likeness[row, item],
        ]
    )


def new_features(bought: OwnCells, companion: Floats, likeness: Floats, catalogue: Catalogue) -> list[Floats]:
    """``NEW_FEATURES`` of every item, each float64[B, N] or of a shape that broadcasts to it."""
    month, week = catalogue.buyers
    size = max(len(catalogue), 1)
    known = np.bincount(bought.cell // size, np.sqrt(bought.lines), len(companion))[:, None]
    log_companion = _log_companion(companion)
    return [
        month[None, :],
        week[None, :],
        np.sqrt(companion),
        log_companion,
        log_companion * month[None, :],
        np.sqrt(companion / np.maximum(known, 1e-6)),
        likeness,
        likeness / (1.0 + known),
    ]


def scores(bought: OwnCells, likeness: Floats, catalogue: Catalogue) -> Floats:
    """The ranking score of every item: float64[B, N].

    Args:
        likeness: float64[B, N]: cosine of query and item.
    """
    weights = catalogue.shop.ranking
    companion = companion_strength(bought, len(likeness), catalogue)
    score = np.zeros(likeness.shape)
    for weight, feature in zip(weights.new.tolist(), new_features(bought, companion, likeness, catalogue), strict=True):
        score += weight * feature
    # One product after the other: a matrix product may sum in another order in another batch.
    own = np.zeros(len(bought.cell))
    for weight, column in zip(
        weights.own.tolist(), own_features(bought, companion, likeness, catalogue).T, strict=True
    ):
        own += weight * column
    score.ravel()[bought.cell] = own
    return score


def buyers_feature(buyers: npt.NDArray[np.float32]) -> Floats:
    """Log of one plus the buyers, scaled as the other features."""
    return np.log1p(buyers.astype(np.float64)) / _BUYERS_SCALE


def _log_companion(strength: Floats) -> Floats:
    return np.asarray((np.log(strength + _COMPANION_FLOOR) - np.log(_COMPANION_FLOOR)) / _COMPANION_SCALE)

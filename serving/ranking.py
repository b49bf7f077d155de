"""The ranking score of an item for a customer: a linear model over what several retrievers say.

Own repeats, companions of what was bought (EASE), what many buy lately, the likeness of the item's name to the model's
query, and for items without a known sale to what the customer bought. Two sets of weights, for items that the customer
bought before and for the others, learned by ``serving.training.ranker`` from next baskets. Which items are scored is
chosen in ``serving.shortlist``; training calls it for the features.
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
    "unsold",
    "unsold_name",
    "unsold_name_x_unknown",
)
"""Names in order. ``unknown`` is 1 for a customer of whom no purchase is known, and falls with what is known.
``unsold`` is 1 for an item of which no sale is known, and then ``unsold_name`` says how alike its name is to one bought
before: of a new item nothing but its content speaks."""

_BUYERS_SCALE: Final = 4.0
_LINES_SCALE: Final = 3.0
_MOST_LINES: Final = 5.0
COMPANION_FLOOR: Final = 0.01
COMPANION_SCALE: Final = 3.0
FEWEST_KNOWN: Final = 1e-6
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


class CompanionEntries(NamedTuple):
    """What goes with each of M own cells, K entries each.

    Attributes:
        cell: int64[M, K]: customer times (catalogue size + 1) plus the companion's row. The one place more than the
            catalogue has takes what is not sold any more.
        strength: float64[M, K]: root of the decayed lines times the EASE weight.
    """

    cell: npt.NDArray[np.int64]
    strength: Floats


def companion_entries(bought: OwnCells, catalogue: Catalogue) -> CompanionEntries:
    """The companions that are kept of everything that was bought."""
    companions, weights = catalogue.companions
    row, item = np.divmod(bought.cell, max(len(catalogue), 1))
    # In place: these are the largest arrays of a batch.
    cell, strength = companions.take(item, axis=0), weights.take(item, axis=0)
    cell += (row * (len(catalogue) + 1))[:, None]
    strength *= np.sqrt(bought.lines)[:, None]
    return CompanionEntries(cell, strength)


def companion_strength(entries: CompanionEntries, batch: int, catalogue: Catalogue) -> Floats:
    """float64[B, N]: EASE on the roots of the decayed lines, over the companions that are kept."""
    width = len(catalogue) + 1
    # Each customer's own entries in their own order: a sum does not depend on who else is in the batch.
    summed = np.bincount(entries.cell.ravel(), entries.strength.ravel(), batch * width)
    return summed.astype(np.float64, copy=False).reshape(batch, width)[:, :-1]


def known_lines(bought: OwnCells, batch: int, catalogue: Catalogue) -> Floats:
    """float64[B]: roots of the decayed lines, summed: how much is known of each customer."""
    row = bought.cell // max(len(catalogue), 1)
    return np.bincount(row, np.sqrt(bought.lines), batch).astype(np.float64, copy=False)


def unsold_names(bought: OwnCells, batch: int, catalogue: Catalogue) -> Floats:
    """float64[B, U]: likeness of the names of ``catalogue.unsold`` to the nearest name that each customer bought."""
    found = np.zeros((batch, len(catalogue.unsold)))
    if found.size and len(bought.cell):
        row, item = np.divmod(bought.cell, len(catalogue))
        first = np.flatnonzero(np.diff(row, prepend=-1))
        found[row[first]] = np.maximum.reduceat(catalogue.unsold_likeness[item], first, axis=0)
    return found


def unsold_name(row: npt.NDArray[np.intp], item: npt.NDArray[np.intp], names: Floats, catalogue: Catalogue) -> Floats:
    """float64[C]: of ``unsold_names`` what is said of C pairs of a customer and an item; 0 for items that were sold."""
    if not names.size:
        return np.zeros(len(item))
    column = catalogue.unsold_column[item]
    return np.where(column >= 0, names[row, column], 0.0)


def own_features(bought: OwnCells, companion: Floats, likeness: Floats, catalogue: Catalogue) -> Floats:
    """float64[M, features]: ``OWN_FEATURES`` of the own cells.

    Args:
        companion: float64[M]: strength of the companions of each.
        likeness: float64[M]: cosine of query and item.
    """
    row, item = np.divmod(bought.cell, max(len(catalogue), 1))
    month, week = catalogue.buyers
    return np.column_stack(
        [
            np.ones(len(row)),
            np.log(np.maximum(bought.lines, _FEW_LINES)) / _LINES_SCALE,
            np.minimum(bought.lines, _MOST_LINES) / 2,
            month[item],
            week[item],
            np.sqrt(companion),
            _log_companion(companion),
            np.log1p(bought.days) / _SINCE_SCALE,
            np.exp(-bought.days / _JUST_NOW_DAYS),
            np.log1p(np.bincount(row)[row]) / _BREADTH_SCALE,
            likeness,
        ]
    )


def new_features(
    item: npt.NDArray[np.intp], companion: Floats, likeness: Floats, name: Floats, known: Floats, catalogue: Catalogue
) -> Floats:
    """float64[C, features]: ``NEW_FEATURES`` of C pairs of a customer and an item.

    Args:
        item: intp[C]: row of the catalogue.
        companion, likeness: float64[C], as in ``own_features``.
        name: float64[C], see ``unsold_name``.
        known: float64[C]: ``known_lines`` of the customer.
    """
    month, week = (each[item] for each in catalogue.buyers)
    log_companion = _log_companion(companion)
    return np.column_stack(
        [
            month,
            week,
            np.sqrt(companion),
            log_companion,
            log_companion * month,
            np.sqrt(companion / np.maximum(known, FEWEST_KNOWN)),
            likeness,
            likeness / (1.0 + known),
            catalogue.unsold_column[item] >= 0,
            name,
            name / (1.0 + known),
        ]
    )


def weighted(features: Floats, weights: Floats) -> Floats:
    """float64[C]: the scores of float64[C, features].

    One product after the other: a matrix product may sum in another order in another batch.
    """
    total = np.zeros(len(features))
    for weight, column in zip(weights.tolist(), features.T, strict=True):
        total += weight * column
    return total


def buyers_feature(buyers: npt.NDArray[np.float32]) -> Floats:
    """Log of one plus the buyers, scaled as the other features."""
    return np.log1p(buyers.astype(np.float64)) / _BUYERS_SCALE


def _log_companion(strength: Floats) -> Floats:
    return np.asarray((np.log(strength + COMPANION_FLOOR) - np.log(COMPANION_FLOOR)) / COMPANION_SCALE)

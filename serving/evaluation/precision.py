"""How far a graph of lower precision moves what is decided, and whether that is too far to serve it.

Compares the outputs of two graphs for the same inputs; it runs none. ``stream.operations.prepare_gpu`` and the check on
a GPU call it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from serving.answers import CHURN_DIGITS
from serving.evaluation.metrics import ece
from serving.model_card import HORIZONS, Threshold
from serving.scorer import Tensors

MOST_CROSSINGS: Final = 0.001
MOST_MOVED: Final = 0.002
LEAST_ALIKE: Final = 0.999

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Shift(msgspec.Struct, frozen=True):
    """What changed between two graphs over N rows."""

    rows: int
    crossings: float
    """Share of the rows that lie on another side of any threshold, or have another label."""
    moved: float
    """Change of the expected calibration error, the largest of all horizons; where no outcome is known, the mean
    absolute change of a probability, which bounds it for bins that keep their rows."""
    alike: float
    """The lowest cosine of the two vectors of a row."""


def churn_shift(
    exact: Tensors, other: Tensors, thresholds: Iterable[Threshold], churned: Mapping[int, npt.NDArray[np.bool_]]
) -> Shift:
    """Of the customer model.

    Args:
        exact, other: outputs of ``serving.scorer.OUTPUTS`` for the same N customers.
        churned: bool[N] by horizon in days: who did not buy within it.
    """
    before, after = (np.round(each["churn"].astype(np.float64), CHURN_DIGITS) for each in (exact, other))
    crossed = np.zeros(len(before), np.bool_)
    for threshold in thresholds:
        place = HORIZONS.index(threshold.horizon)
        for edge in (threshold.raise_at, threshold.resolve_at):
            crossed |= (before[:, place] >= edge) != (after[:, place] >= edge)
    moved = [
        abs(ece(truth, other["churn"][:, place]) - ece(truth, exact["churn"][:, place]))
        for days, truth in churned.items()
        for place in [HORIZONS.index(f"{days}d")]
    ]
    alike = _lowest_cosine(exact["query"], other["query"])
    return Shift(len(before), float(crossed.mean()), float(max(moved, default=0.0)), alike)


def text_shift(exact: tuple[Floats, Floats], other: tuple[Floats, Floats], said: Ints, says: Ints) -> Shift:
    """Of the text encoder.

    Args:
        exact, other: probabilities float32[N, 3] and vectors float32[N, D] of the same N texts.
        said, says: int64[N]: the labels of each.
    """
    moved = float(np.abs(exact[0] - other[0]).mean())
    return Shift(len(exact[0]), float(np.mean(said != says)), moved, _lowest_cosine(exact[1], other[1]))


def refusals(shift: Shift) -> list[str]:
    """Why the graph must not be served, a sentence each; none where it may be."""
    found = []
    if not shift.rows:
        found.append("nothing was compared")
    # Written so that NaN refuses.
    if not shift.crossings <= MOST_CROSSINGS:
        found.append(f"{shift.crossings:.2%} cross a threshold, allowed are {MOST_CROSSINGS:.1%}")
    if not shift.moved <= MOST_MOVED:
        found.append(f"the calibration error moves by {shift.moved:.4f}, allowed are {MOST_MOVED}")
    if not shift.alike >= LEAST_ALIKE:
        found.append(f"a vector has a cosine of {shift.alike:.4f} with its exact one, needed are {LEAST_ALIKE}")
    return found


def _lowest_cosine(one: Floats, other: Floats) -> float:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / np.maximum(lengths, 1e-12)).min(initial=1.0))

"""How far a new model moves the scores of customers whom neither model was trained on.

Poison in the events of others reaches these canaries through the model alone; so does a mistake in training. They are
the customers kept out of training for the demo, a keyed hash of the id, so nobody can choose to be or not to be one.
Called by ``stream.operations.retrain``.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

FEWEST: Final = 30
"""Canaries below which nothing is said."""


class CanaryBounds(msgspec.Struct, frozen=True, kw_only=True):
    """How far scores may move before a person has to look."""

    mean: float = 0.1
    """Of the absolute differences of the probability of churn within 90 days."""
    far: float = 0.3
    """A difference that counts as far."""
    far_share: float = 0.05
    """Of the canaries, that may move that far."""


class Moves(msgspec.Struct, frozen=True):
    """How far the scores of the canaries moved."""

    customers: int
    mean: float
    far_share: float

    def beyond(self, bounds: CanaryBounds) -> bool:
        """True when a person has to look before the new model is offered."""
        return self.mean > bounds.mean or self.far_share > bounds.far_share


class CanaryMoved(ValueError):
    """The new model moves the canaries further than the bounds allow: it is not offered."""


def canary_moves(former: npt.NDArray[np.float64], new: npt.NDArray[np.float64], bounds: CanaryBounds) -> Moves | None:
    """The moves between two models' probabilities of churn, float64[N] each; None for fewer than ``FEWEST``."""
    if len(former) < FEWEST:
        return None
    moved = np.abs(new - former)
    return Moves(len(moved), float(moved.mean()), float((moved > bounds.far).mean()))

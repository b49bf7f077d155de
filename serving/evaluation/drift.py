"""Does the model still mean what it says: calibration of churn scores whose horizon has ended.

It is measured on outcomes, not on inputs: a population stability index of the profile's statistics moves with every
season, and says nothing of whether scores are wrong. Called by ``stream.operations.retrain``.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from serving.evaluation.metrics import ece

FEWEST: Final = 200
"""Outcomes below which nothing is said."""

_DRAWS: Final = 300
_SEED: Final = 20110609
_SURE: Final = 97.5


class Drift(msgspec.Struct, frozen=True):
    """How far scores and outcomes are apart at one cut-off."""

    cutoff: str
    """ISO date at which the scores were made."""
    customers: int
    expected: float
    """Mean probability of no order within the horizon."""
    happened: float
    """Share who did not order."""
    excess: float
    """Calibration error (ECE in tenths) less the error that perfect scores would have in the mean."""
    chance: float
    """The excess that perfect scores stay below in 97.5 of 100 samples of so many customers."""

    def beyond(self, bound: float) -> bool:
        """True when the excess is above ``bound``, and above what chance explains."""
        return self.excess > max(bound, self.chance)


def calibration_drift(cutoff: str, said: npt.NDArray[np.float64], churned: npt.NDArray[np.bool_]) -> Drift | None:
    """The drift at one cut-off; None for fewer than ``FEWEST`` customers.

    What perfect scores would show is drawn from the scores themselves (a parametric bootstrap, as in the consistency
    bars of Bröcker, Smith 2007): each customer churns with the probability said.

    Args:
        said: float64[N], probability of no order within the horizon.
        churned: bool[N], that there was none.
    """
    if len(said) < FEWEST:
        return None
    random = np.random.default_rng(_SEED)
    perfect = np.array([ece(random.random(len(said)) < said, said) for _ in range(_DRAWS)])
    return Drift(
        cutoff,
        len(said),
        float(said.mean()),
        float(churned.mean()),
        ece(churned, said) - float(perfect.mean()),
        float(np.percentile(perfect, _SURE) - perfect.mean()),
    )

"""Whether a version's probabilities are right on the whole, as nearly as the present one's.

The question is put the other way round than for the other figures. There a version has to be shown to be worse, so a
few customers let a fault pass; here a fault of ``MARGIN`` has to be ruled out (non-inferiority), so a few customers
refuse what they cannot tell. Called by ``serving.gate.comparison``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from serving.evaluation.bootstrap import Draws, interval
from serving.gate.verdict import Check, Difference

Floats = npt.NDArray[np.float64]

MARGIN: Final = 0.02
"""So much further, as a share of what happens, may the mean probability lie from it than the present version's."""


def calibration_in_the_large(
    owner: npt.NDArray[np.intp], churned: npt.NDArray[np.bool_], present: Floats, candidate: Floats
) -> Difference:
    """How far each version's mean probability lies from the share that churned, as a part of that share.

    Args:
        owner: which customer each of N rows is of, from 0 on; rows of a customer are drawn together.
        churned, present, candidate: what happened, and what the versions said.
    """
    customers = int(owner.max()) + 1
    sums = np.stack([np.bincount(owner, column, customers) for column in (churned, present, candidate)])
    happened, *said = sums @ Draws(customers).weights().T
    with np.errstate(divide="ignore", invalid="ignore"):
        off = [np.abs(each / happened - 1) for each in said]
        drawn = off[1] - off[0]
        now = [float(abs(each.sum() / sums[0].sum() - 1)) for each in sums[1:]]
    return Difference("churn_90d_in_the_large", False, now[0], now[1], interval(drawn))


def not_further_off(difference: Difference, customers: int) -> Check:
    """The check of ``calibration_in_the_large``. A version that is further off by ``MARGIN`` or more passes in 2.5 of
    100 samples at most, however few customers there are; one that says the same as the present one always passes."""
    low, high = difference.interval
    passed = high <= MARGIN
    finding = (
        f"{difference.candidate:.1%} off what happened, the present one {difference.present:.1%} "
        f"({100 * low:+.1f} to {100 * high:+.1f} points)"
    )
    undecided = not passed and not difference.worse
    if undecided:
        finding += f": {customers:,} customers are too few to rule out more than {100 * MARGIN:.0f}"
    return Check("calibration in the large", passed, finding, undecided)

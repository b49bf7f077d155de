"""Which score how many active customers reach: what a threshold by budget is read from.

No outcome is looked at, so the levels are those of the newest day that a model knows; nobody has to wait for a horizon
to be over. Called by ``serving.training.train`` for the card.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from serving.evaluation.alerts import ACTIVE_DAYS
from serving.evaluation.predictions import Predictions
from serving.history import Journey
from serving.model_card import HORIZONS, RHYTHM_BASKETS, RHYTHM_SPAN_DAYS, ScoreLevels
from stream.contracts.times import DAY_MS

SHARES: Final = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)
_FEWEST: Final = 50
"""Active customers below which a quantile says little."""


def score_levels(said: Predictions, journeys: Mapping[str, Journey]) -> list[ScoreLevels]:
    """Levels of each horizon, of customers with a rhythm and without, among those active at the moment of ``said``.

    A group of fewer than fifty has none.
    """
    times = [own[own <= said.as_of] for own in (journeys[customer].times for customer in said.customers)]
    active = np.array([own[-1] > said.as_of - ACTIVE_DAYS * DAY_MS for own in times], np.bool_)
    rhythm = np.array(
        [len(own) >= RHYTHM_BASKETS and own[-1] - own[0] >= RHYTHM_SPAN_DAYS * DAY_MS for own in times], np.bool_
    )
    found = []
    for has_rhythm in (False, True):
        rows = np.flatnonzero(active & (rhythm == has_rhythm))
        for place, horizon in enumerate(HORIZONS) if len(rows) >= _FEWEST else ():
            scores = np.quantile(said.churn[rows, place], 1.0 - np.array(SHARES))
            found.append(
                ScoreLevels(horizon, has_rhythm, said.cutoff, len(rows), list(SHARES), scores.round(3).tolist())
            )
    return found

"""The answer when no model can be asked: a frozen, calibrated function of the customer's own rhythm.

It keeps predictions flowing and is marked on each; alerts are neither raised nor resolved by it. The workers call it
when a call to the model failed or the breaker is open. Its constants come from ``benchmarks/fallback_fit.py`` and
change only with ``FALLBACK_VERSION``.
"""

import math
from typing import Final

import numpy as np

from serving.catalogue import Catalogue
from serving.model_card import HORIZONS, HORIZONS_DAYS
from stream.contracts.scores import Answer, Candidate, FallbackReason, ModelStamp
from stream.profiles.profile import Profile
from stream.profiles.rings import top_items
from stream.profiles.statistics import decayed_count, decayed_revenue

FALLBACK_VERSION: Final = 1
STAMP: Final = ModelStamp(name="fallback", version=str(FALLBACK_VERSION), feature_schema="")

INTERCEPTS: Final = (2.657, 2.086, 1.736)
SLOPES: Final = (1.782, 1.968, 2.067)
"""By horizon: 30, 60 and 90 days. Fitted on a year of weekly cut-offs of Online Retail II, so that each season counts
once.

Checked on customers that were not fitted on: AUC 0.734, 0.736 and 0.737, Brier 0.152, 0.189 and 0.202, expected
calibration error 0.008, 0.011 and 0.012. Fitted on February to November 2010 and checked on February and March 2011,
where a season that was never seen churns by 16 points more: AUC 0.769, 0.765 and 0.768, Brier 0.125, 0.174 and 0.195,
calibration error 0.092, 0.118 and 0.126.
"""

REVENUE_DAYS: Final = 180
_MEAN_LIFE_DAYS: Final = 90.0 / math.log(2.0)
"""The decayed revenue of a customer who spends evenly is that of so many days."""

_MOST_CANDIDATES: Final = 40
_DIGITS: Final = 3


def fallback_answer(
    profile: Profile,
    as_of: int,
    reason: FallbackReason,
    catalogue: Catalogue | None = None,
    currency: str = "GBP",
) -> Answer:
    """What can be said of a customer without a model.

    Args:
        profile: the request's.
        as_of: epoch milliseconds, not before the profile's newest event.
        reason: why the model did not answer.
        catalogue: gives own repeats their ids and says what can be bought; without one there are no candidates.
        currency: of the profile's amounts.
    """
    probabilities = churn(rate_of(profile, as_of))
    by_horizon = {horizon: round(p, _DIGITS) for horizon, p in zip(HORIZONS, probabilities, strict=True)}
    return Answer(
        churn=by_horizon,
        raw_churn=dict(by_horizon),
        expected_revenue_180d=round(expected_revenue(profile, as_of), 2),
        median_revenue_180d=round(_median_revenue(profile, as_of, probabilities[-1]), 2),
        currency=currency,
        candidates=[] if catalogue is None else _own_repeats(profile, as_of, catalogue),
        model=STAMP,
        catalogue_version="" if catalogue is None else catalogue.version,
        fallback=True,
        fallback_reason=reason,
    )


def rate_of(profile: Profile, at: int) -> float:
    """Orders, each halved every 90 days: frequent and recent customers have a high rate, and silence lowers it."""
    return max(0.0, decayed_count(profile, "purchase", at).quarter)


def churn(rate: float) -> tuple[float, ...]:
    """Probability of no purchase within each of ``HORIZONS_DAYS``: ``1 / (1 + (1 + rate) ** slope * exp(-intercept))``.

    The form is that of a Poisson process whose intensity is Gamma distributed between customers (Fader, Hardie, Lee:
    "Counting Your Customers the Easy Way", 2005, has it with a drop-out besides), as a logistic in ``log(1 + rate)``.
    It falls with the rate and never reaches 0 or 1.
    """
    return tuple(
        1.0 / (1.0 + (1.0 + rate) ** slope * math.exp(-intercept))
        for intercept, slope in zip(INTERCEPTS, SLOPES, strict=True)
    )


def expected_revenue(profile: Profile, at: int) -> float:
    """Revenue of ``REVENUE_DAYS`` if the customer goes on as in the decayed past, in which silence already counts.

    On Online Retail II this is 0.90 of what came, over the cut-offs of March to December 2010.
    """
    return max(0.0, decayed_revenue(profile, at).quarter * REVENUE_DAYS / _MEAN_LIFE_DAYS)


def _median_revenue(profile: Profile, at: int, silent: float) -> float:
    """Own mean basket times the median number of orders, Poisson with the intensity under which ``silent`` is the
    chance of none.

    Median as approximated by Choi, "On the medians of gamma distributions", 1994.
    """
    orders = -math.log(silent) * REVENUE_DAYS / HORIZONS_DAYS[-1]
    median = math.floor(orders + 1.0 / 3.0 - 0.02 / orders)
    rate = rate_of(profile, at)
    if median < 1 or not rate:
        return 0.0
    return max(0.0, decayed_revenue(profile, at).quarter / rate) * median


def _own_repeats(profile: Profile, at: int, catalogue: Catalogue) -> list[Candidate]:
    """What the customer bought most and can buy again, one of each group."""
    owned = top_items(profile, at)
    rows = catalogue.rows(np.array([item.item_hash for item in owned], np.uint64))
    chosen: dict[str, Candidate] = {}
    for item, row in zip(owned, rows.tolist(), strict=True):
        if row < 0 or not catalogue.buyable[row] or len(chosen) == _MOST_CANDIDATES:
            continue
        item_id, group = catalogue.item_ids[row], catalogue.groups[row]
        chosen.setdefault(
            group,
            Candidate(
                item_id=item_id,
                score=round(math.log1p(item.decayed_count), 6),
                retriever="repeat",
                item_group_id=group if group != item_id else "",
                because_item_id=item_id,
            ),
        )
    return list(chosen.values())

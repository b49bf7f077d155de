"""Levels of scores: the share that they promise is the share that reaches them."""

import numpy as np
import pytest
from msgspec.structs import replace

from serving.evaluation.predictions import Predictions
from serving.evaluation.score_levels import SHARES, score_levels
from serving.history import journeys
from serving.model_card import ScoreLevels, UnknownLevels, model_repository, read_model_card, version_folder
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, shop_events

JOURNEYS = journeys(shop_events(customers=400, days=200), ProfileSettings())
AS_OF = START + 110 * DAY_MS - 1


def said() -> Predictions:
    customers = [c for c in sorted(JOURNEYS) if JOURNEYS[c].times[0] <= AS_OF]
    churn = np.random.default_rng(5).uniform(size=(len(customers), 3))
    return Predictions(AS_OF, "", customers, churn, np.zeros((len(customers), 2)), [], [])


def rhythm_of(customer: str) -> bool:
    times = JOURNEYS[customer].times
    known = times[times <= AS_OF]
    return len(known) >= 2 and known[-1] - known[0] >= 7 * DAY_MS


def test_the_share_that_a_level_names_reaches_it():
    predictions = said()
    found = score_levels(predictions, JOURNEYS)
    assert {(levels.horizon, levels.rhythm) for levels in found} >= {("90d", True), ("30d", True)}
    levels = next(levels for levels in found if (levels.horizon, levels.rhythm) == ("90d", True))
    rows = [
        row
        for row, customer in enumerate(predictions.customers)
        if rhythm_of(customer)
        and ((JOURNEYS[customer].times <= AS_OF) & (JOURNEYS[customer].times > AS_OF - 90 * DAY_MS)).any()
    ]
    assert levels.customers == len(rows)
    for share, score in zip(levels.shares, levels.raise_at, strict=True):
        assert (predictions.churn[rows, 2] >= score).mean() == pytest.approx(share, abs=0.015)
    assert list(levels.shares) == list(SHARES)


def test_what_comes_after_the_moment_changes_no_level():
    past = {
        customer: journey._replace(times=journey.times[journey.times <= AS_OF])
        for customer, journey in JOURNEYS.items()
    }
    assert score_levels(said(), past) == score_levels(said(), JOURNEYS)


def test_between_two_known_shares_the_score_lies_on_a_line_and_beyond_them_nothing_is_said():
    card = read_model_card(version_folder(model_repository()))
    levels = ScoreLevels("90d", True, "2011-06-09", 100, [0.1, 0.2], [0.8, 0.6])
    card = replace(card, score_levels=[levels])
    assert card.score_reached_by(0.15, "90d", rhythm=True) == pytest.approx(0.7)
    with pytest.raises(UnknownLevels, match=r"0.1 to 0.2 of active customers, not of 0.05"):
        card.score_reached_by(0.05, "90d", rhythm=True)
    with pytest.raises(UnknownLevels, match="customers without a rhythm: set raise_threshold"):
        card.score_reached_by(0.15, "90d", rhythm=False)

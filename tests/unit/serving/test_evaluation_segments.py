"""Segments: everybody is in one of each dimension, and a model that is worse for some is told so."""

import numpy as np
import pytest

from serving.evaluation.comparison import MODEL, Forecast
from serving.evaluation.segments import Groups, segments
from serving.evaluation.truth import truth_after
from serving.history import Journey, journeys
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, shop_events

JOURNEYS = journeys(shop_events(customers=240), ProfileSettings())
AS_OF = START + 300 * DAY_MS - 1
CUSTOMERS = [c for c in sorted(JOURNEYS) if (JOURNEYS[c].times <= AS_OF).any()]
TRUTH = truth_after(JOURNEYS, CUSTOMERS, AS_OF, START + 540 * DAY_MS)
RECENCY = {days: np.clip(TRUTH.recency_days / 400, 0.01, 0.99) for days in TRUTH.churned}
COUNTRIES = {customer: "GB" if place % 4 else "FR" for place, customer in enumerate(CUSTOMERS[:-5])}


def found(model, groups=Groups(300.0, COUNTRIES)):  # noqa: B008
    forecasts = {MODEL: Forecast(churn=model), "recency": Forecast(churn=RECENCY)}
    return segments(forecasts, TRUTH, CUSTOMERS, JOURNEYS, AS_OF, groups)


def test_everybody_is_in_exactly_one_segment_of_each_dimension():
    customers: dict[str, int] = {}
    for segment in found(RECENCY):
        customers[segment.dimension] = customers.get(segment.dimension, 0) + segment.customers
    assert set(customers) == {"baskets", "last order", "history", "year's revenue", "country"}
    within_a_year = int((TRUTH.recency_days <= 365).sum())
    for dimension, count in customers.items():
        assert count == (within_a_year if dimension == "last order" else len(CUSTOMERS))


def test_a_model_that_fails_frequent_customers_alone_is_said_to_be_worse_for_them():
    backwards = {days: np.where(TRUTH.history >= 10, 1 - said, said) for days, said in RECENCY.items()}
    verdicts = {(s.dimension, s.name): s.figure("brier").verdict for s in found(backwards) if s.figures}
    assert verdicts["baskets", "10 or more"] == "worse"
    assert verdicts["baskets", "2 to 4"] == "alike"


def test_too_few_customers_get_no_figure_and_no_country_is_made_up():
    unknown = next(s for s in found(RECENCY) if s.name == "not known")
    assert (unknown.customers, unknown.figures) == (5, [])
    plain = found(RECENCY, Groups())
    assert {segment.dimension for segment in plain} == {"baskets", "last order", "history"}


def test_nothing_is_said_while_no_outcome_is_known():
    early = truth_after(JOURNEYS, CUSTOMERS, AS_OF, AS_OF + DAY_MS)
    forecasts = {MODEL: Forecast(churn=RECENCY)}
    assert segments(forecasts, early, CUSTOMERS, JOURNEYS, AS_OF, Groups()) == []


def test_the_base_rate_and_what_was_said_are_of_the_segment():
    for segment in found(RECENCY):
        assert 0 <= segment.base_rate <= 1
        assert 0 < segment.said < 1
    whole = [s for s in found(RECENCY) if s.dimension == "baskets"]
    mean = sum(s.customers * s.base_rate for s in whole) / len(CUSTOMERS)
    assert mean == pytest.approx(TRUTH.churned[90].mean())


def test_who_stands_on_a_border_is_on_one_side_of_it():
    now = 400 * DAY_MS - 1
    ages = {"90": 90, "a day more than a year": 366, "less": 364.9, "1": 1}
    bought = {
        name: Journey(np.array([now + 1 - round(age * DAY_MS), now - 5]), np.array([100.0, 200.0]), [("i",), ("i",)])
        for name, age in ages.items()
    }
    truth = truth_after(bought, list(bought), now, now + 91 * DAY_MS)
    forecasts = {MODEL: Forecast(churn={90: np.full(4, 0.5)})}
    counted = {
        (s.dimension, s.name): s.customers for s in segments(forecasts, truth, list(bought), bought, now, Groups(300.0))
    }
    of_history = {name: count for (dimension, name), count in counted.items() if dimension == "history"}
    assert of_history == {"under 90 days": 1, "90 to 179": 1, "180 to 364": 1, "a year or more": 1}
    # The first purchase of one is no longer of the last year; the other three come to 300 each.
    assert counted["year's revenue", "300 or more"] == 3

"""The frozen fallback: ordered, bounded, the same for ever, and silent about what cannot be bought."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.catalogue import Catalogue
from stream.contracts.catalogue import CatalogueItem
from stream.decisions.fallback import FALLBACK_VERSION, churn, expected_revenue, fallback_answer, rate_of

rates = st.floats(0, 1e6, allow_nan=False)


def test_the_constants_are_frozen_with_the_version():
    assert FALLBACK_VERSION == 1
    assert [tuple(round(p, 3) for p in churn(rate)) for rate in (0.0, 1.0, 3.0)] == [
        (0.934, 0.89, 0.85),
        (0.806, 0.673, 0.575),
        (0.547, 0.345, 0.244),
    ]


@given(rates)
def test_nobody_is_certain_to_stay_or_gone_for_sure(rate):
    assert all(0.0 < probability < 1.0 for probability in churn(rate))


@given(rates)
def test_a_longer_horizon_is_less_likely_to_pass_in_silence(rate):
    in_30, in_60, in_90 = churn(rate)
    assert in_30 >= in_60 >= in_90


@given(rates, rates)
def test_more_orders_mean_less_churn(one, other):
    low, high = sorted((one, other))
    assert all(few >= many for few, many in zip(churn(low), churn(high), strict=True))


def test_silence_raises_the_probability_day_by_day(shop):
    customer = shop.regular()
    answers = [fallback_answer(customer.profile, shop.at(day), "timeout") for day in (60, 90, 150, 400)]
    scores = [answer.churn["90d"] for answer in answers]
    assert scores == sorted(scores)
    assert scores[-1] - scores[0] > 0.3


def test_an_answer_says_that_it_is_a_fallback_and_why(shop):
    given_answer = fallback_answer(shop.regular().profile, shop.at(90), "breaker_open", currency="EUR")
    assert (given_answer.fallback, given_answer.fallback_reason) == (True, "breaker_open")
    assert (given_answer.model.name, given_answer.model.version) == ("fallback", "1")
    assert given_answer.currency == "EUR"
    assert given_answer.candidates == []
    assert set(given_answer.churn) == {"30d", "60d", "90d"}


def test_revenue_follows_what_was_spent_and_fades_with_silence(shop):
    frugal = shop.customer().buys(0, 20, 40, 60, price=10.0).profile
    lavish = shop.customer().buys(0, 20, 40, 60, price=100.0).profile
    assert expected_revenue(lavish, shop.at(60)) == pytest.approx(10 * expected_revenue(frugal, shop.at(60)))
    assert expected_revenue(lavish, shop.at(150)) == pytest.approx(expected_revenue(lavish, shop.at(60)) / 2)


def test_the_median_is_nothing_for_who_is_likely_gone_and_whole_baskets_for_who_is_not(shop):
    gone = fallback_answer(shop.customer().buys(0).profile, shop.at(300), "timeout")
    assert gone.median_revenue_180d == 0.0
    often = shop.customer().buys(*range(0, 120, 10), price=50.0)
    active = fallback_answer(often.profile, shop.at(121), "timeout")
    assert active.median_revenue_180d > 0
    assert active.median_revenue_180d % 50.0 == pytest.approx(0.0, abs=0.02)


def test_a_visitor_who_never_bought_has_no_rate_and_no_revenue(shop):
    customer = shop.customer()
    customer.carts(0, "add")
    answer = fallback_answer(customer.profile, shop.at(1), "no_model")
    assert rate_of(customer.profile, shop.at(1)) == 0.0
    assert (answer.expected_revenue_180d, answer.median_revenue_180d) == (0.0, 0.0)


def test_own_repeats_that_can_be_bought_are_the_candidates(shop):
    customer = shop.customer().buys(0, items=("mug", "sold out", "recalled", "unknown"))
    customer.buys(20, items=("mug", "shirt-s")).buys(40, items=("shirt-m",))
    catalogue = Catalogue.from_items(
        [
            CatalogueItem("mug"),
            CatalogueItem("sold out", availability="out_of_stock"),
            CatalogueItem("recalled", restricted=True),
            CatalogueItem("shirt-s", item_group_id="shirt"),
            CatalogueItem("shirt-m", item_group_id="shirt"),
            CatalogueItem("never bought"),
        ]
    )
    answer = fallback_answer(customer.profile, shop.at(60), "timeout", catalogue)
    assert [(each.item_id, each.item_group_id, each.retriever) for each in answer.candidates] == [
        ("mug", "", "repeat"),
        ("shirt-m", "shirt", "repeat"),
    ]
    assert answer.catalogue_version == catalogue.version
    assert [each.score for each in answer.candidates] == sorted(
        (each.score for each in answer.candidates), reverse=True
    )


def test_at_most_forty_candidates_are_named(shop):
    items = tuple(f"item-{number}" for number in range(60))
    customer = shop.customer().buys(0, items=items)
    catalogue = Catalogue.from_items([CatalogueItem(item) for item in items])
    assert len(fallback_answer(customer.profile, shop.at(1), "timeout", catalogue).candidates) == 40

"""The guess before the fold never bars what the fold would raise, and rarely hopes for what it bars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.decisions.facts import Facts
from stream.decisions.policies import KINDS
from stream.decisions.prospects import free_kinds, will_raise


def guess(customer, day, score, **fields):
    request = customer.request(day, **fields)
    free = free_kinds(customer.state, request, customer.policies)
    facts = Facts(customer.profile, request.as_of, customer.policies.settings)
    return will_raise(free, facts, score, customer.policies)


@given(
    days=st.lists(st.integers(61, 400), min_size=1, max_size=12),
    scores=st.lists(st.sampled_from([0.3, 0.65, 0.75, 0.9]), min_size=12, max_size=12),
    buys=st.sets(st.integers(61, 400), max_size=4),
    cap=st.integers(1, 2),
)
def test_the_guess_is_what_the_fold_decides(shop, days, scores, buys, cap):
    customer = shop.regular(in_force=shop.policies(daily_cap=cap))
    for day, score in zip(sorted(days), scores, strict=False):
        for bought in sorted(each for each in buys if each < day):
            customer.buys(bought)
            buys = buys - {bought}
        guessed = guess(customer, day, score)
        raised = "raised" in customer.asks(day, score).statuses
        assert guessed == raised


@pytest.mark.parametrize("refusal", [{"mode": "backfill"}, {"marketing": False}, {"personalization": False}])
def test_nobody_is_explained_who_will_not_be_alerted(shop, refusal):
    customer = shop.regular()
    assert guess(customer, 90, 0.9)
    assert not guess(customer, 90, 0.9, **refusal)


def test_a_customer_of_whom_nothing_is_remembered_may_have_any_alert(shop):
    customer = shop.regular()
    assert free_kinds(None, customer.request(90), customer.policies) == frozenset(KINDS)
    assert not guess(shop.customer().buys(0), 10, 0.99)


def test_what_rests_and_what_is_open_bars_an_alert(shop):
    customer = shop.regular()
    customer.asks(90, 0.9)
    assert not guess(customer, 91, 0.9)
    customer.asks(92, 0.1)
    assert not guess(customer, 100, 0.9)
    assert guess(customer, 130, 0.9)

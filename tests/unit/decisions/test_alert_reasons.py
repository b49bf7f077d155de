"""Reasons name the cause that was planted, point the right way, and never explain more than there is."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.codec import encode
from stream.contracts.events import Item
from stream.contracts.scores import Contribution
from stream.decisions.facts import Facts
from stream.decisions.policies import Policies
from stream.decisions.reasons import MOST_REASONS, reasons, rule_reasons


def reasons_of(shop, customer, day, distance=0.4):
    facts = Facts(customer.profile, shop.at(day), Policies())
    return rule_reasons(customer.profile, facts, distance)


def told(shop, customer, day, given=(), distance=0.4):
    facts = Facts(customer.profile, shop.at(day), Policies())
    return reasons(list(given), customer.profile, facts, distance)


def found(reasons, code):
    return next(reason for reason in reasons if reason.code == code)


def codes(reasons):
    return [reason.code for reason in reasons]


SAID = (Contribution("silence", 2.4, "own_gaps", 0.8, 0.3), Contribution("rhythm", 3.0, "orders_365d", 7.0, -0.1))


def test_silence_is_held_against_the_customer_s_own_rhythm(shop):
    reason = found(reasons_of(shop, shop.regular(), 100), "silence_vs_rhythm")
    assert (reason.value, reason.unit, reason.reference) == (40.0, "days", 20.0)
    assert reason.contribution > 0


def test_without_a_rhythm_silence_is_held_against_what_others_take(shop):
    reason = found(reasons_of(shop, shop.customer().buys(0), 60), "silence_after_first_order")
    assert (reason.value, reason.reference) == (60.0, 45.0)


def test_a_longer_silence_weighs_more(shop):
    customer = shop.regular()
    weights = [found(reasons_of(shop, customer, day), "silence_vs_rhythm").contribution for day in (75, 85, 100)]
    assert weights == sorted(weights)
    assert len(set(weights)) == 3


def test_a_count_is_written_alike_before_and_after_it_was_kept_as_bytes(shop):
    customer = shop.customer().buys(0)
    customer.event("browse", 3, items=[Item(item_id="p1")])
    visits = found(reasons_of(shop, customer, 4, distance=-0.4), "recent_visits")
    assert encode(msgspec.json.decode(encode(visits), type=Contribution)) == encode(visits)


def frequency_drop(customer):
    customer.buys(80, 100, 120, 140, 160, 180, 200, 280)


def negative_review(customer):
    customer.reviews(95, 1.0)


def returns(customer):
    customer.returns(95, "bought")
    customer.returns(96, "unknown")


def cart_emptied(customer):
    customer.carts(95, "add")
    customer.carts(96, "clear")


def low_engagement(customer):
    customer.is_sent_messages(95, 10, opened=0)


PLANTED = [
    (frequency_drop, 300),
    (negative_review, 100),
    (returns, 100),
    (cart_emptied, 100),
    (low_engagement, 100),
]


@pytest.mark.parametrize(("plant", "day"), PLANTED, ids=lambda case: getattr(case, "__name__", ""))
def test_a_planted_cause_is_named_and_nobody_without_it_is_told_so(shop, plant, day):
    customer, other = shop.regular(), shop.regular()
    plant(customer)
    assert plant.__name__ in codes(reasons_of(shop, customer, day))
    assert plant.__name__ not in codes(reasons_of(shop, other, 100))


def test_what_speaks_for_a_customer_explains_a_score_below_the_base_rate(shop):
    customer = shop.regular()
    customer.reviews(62, 5.0)
    customer.is_sent_messages(62, 6, opened=5)
    customer.carts(63, "add")
    reasons = reasons_of(shop, customer, 64, distance=-0.4)
    assert set(codes(reasons)) == {"recent_order", "positive_review", "engaged", "recent_visits"}
    assert all(reason.contribution < 0 for reason in reasons)


def test_more_orders_than_usual_speak_for_a_customer(shop):
    customer = shop.customer().buys(0, 60, 120, 180, 240, 245, 250, 255)
    assert "frequency_rise" in codes(reasons_of(shop, customer, 260, distance=-0.3))


def test_a_cart_that_is_full_again_was_not_given_up(shop):
    customer = shop.regular()
    cart_emptied(customer)
    customer.carts(97, "add")
    assert "cart_emptied" not in codes(reasons_of(shop, customer, 100))


def test_buying_empties_a_cart_without_being_a_reason(shop):
    customer = shop.regular()
    customer.carts(79, "add")
    customer.buys(80)
    assert "cart_emptied" not in codes(reasons_of(shop, customer, 100))


def test_a_customer_who_never_bought_and_never_spoke_has_no_reasons(shop):
    customer = shop.customer()
    customer.carts(0, "add")
    assert reasons_of(shop, customer, 60) == []


@given(
    planted=st.sets(st.sampled_from(PLANTED[1:])),
    day=st.integers(97, 400),
    distance=st.floats(-1, 1).filter(lambda distance: distance != 0),
)
def test_contributions_have_the_sign_of_the_distance_and_never_pass_it(shop, planted, day, distance):
    customer = shop.regular()
    for plant, _ in sorted(planted, key=lambda case: case[0].__name__):
        plant(customer)
    reasons = reasons_of(shop, customer, day, distance)
    assert len(reasons) <= MOST_REASONS
    assert len(set(codes(reasons))) == len(reasons)
    assert all(reason.contribution * distance >= 0 for reason in reasons)
    total = sum(abs(reason.contribution) for reason in reasons)
    assert total <= abs(distance) + 0.0005 * MOST_REASONS
    assert [abs(reason.contribution) for reason in reasons] == sorted(
        (abs(reason.contribution) for reason in reasons), reverse=True
    )
    assert "other" not in codes(reasons)


def test_causes_that_together_weigh_enough_explain_all_of_the_distance(shop):
    customer = shop.regular()
    for plant, _ in PLANTED[1:]:
        plant(customer)
    reasons = reasons_of(shop, customer, 110)
    assert sum(reason.contribution for reason in reasons) == pytest.approx(0.4, abs=0.003)


@pytest.mark.parametrize("plant", [negative_review, cart_emptied])
@pytest.mark.parametrize("given", [(), SAID], ids=["by rule", "by the model"])
def test_what_happened_lately_is_told_first(shop, plant, given):
    customer = shop.regular()
    plant(customer)
    first, method = told(shop, customer, 100, given)
    assert first[0].code == plant.__name__
    assert method == ("shapley+rule" if given else "rule")
    late, method = told(shop, customer, 130, given)
    assert late[0].code != plant.__name__
    assert method == ("shapley" if given else "rule")


def test_what_the_model_does_not_weigh_has_moved_nothing_and_the_rest_is_as_it_said(shop):
    customer = shop.regular()
    cart_emptied(customer)
    first, _ = told(shop, customer, 100, SAID)
    assert (first[0].contribution, first[1:]) == (0.0, list(SAID))


def test_what_the_model_weighs_keeps_its_weight_under_the_name_of_what_happened(shop):
    customer = shop.regular()
    negative_review(customer)
    first, _ = told(shop, customer, 100, [*SAID, Contribution("opinion", 1.0, "stars", None, 0.02)])
    assert (first[0].code, first[0].value, first[0].contribution) == ("negative_review", 1.0, 0.02)
    assert codes(first[1:]) == ["silence", "rhythm"]


def test_what_the_model_takes_for_a_good_sign_stays_one(shop):
    customer = shop.regular()
    cart_emptied(customer)
    opened = Contribution("cart", 2.0, "changes_decayed", 0.0, -0.02)
    first, _ = told(shop, customer, 100, [*SAID, opened])
    assert (first[0].contribution, first[-1]) == (0.0, opened)


def test_the_newest_review_is_told_and_not_the_mean(shop):
    customer = shop.regular()
    for day in (61, 62, 63):
        customer.reviews(day, 5.0)
    customer.reviews(95, 1.0)
    assert (told(shop, customer, 100)[0][0].code, told(shop, customer, 100)[0][0].value) == ("negative_review", 1.0)
    customer.reviews(96, 5.0)
    assert told(shop, customer, 100)[0][0].code == "silence_vs_rhythm"


def test_below_the_base_rate_nothing_is_put_first(shop):
    customer = shop.regular()
    cart_emptied(customer)
    assert told(shop, customer, 100, SAID, distance=-0.1) == (list(SAID), "shapley")

"""Lists change when something material changed, and never show what was just bought or sent back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.scores import Candidate
from stream.contracts.times import to_rfc3339
from stream.decisions.lists import REASONS, overlap


def shown(recommendation):
    return [item.item_id for item in recommendation.items]


def test_the_first_answer_publishes_the_best_ten(shop):
    (first,) = shop.regular().asks(61, 0.1).lists
    assert shown(first) == shop.items[:10]
    assert [item.index for item in first.items] == list(range(10))
    assert (first.revision, first.model.name, first.catalogue_version) == (1, "customer", "c0ffee")
    assert first.valid_until == to_rfc3339(shop.at(91))
    assert first.items[0].reason.code == REASONS["model"]


def test_the_same_ranking_is_published_once(shop):
    customer = shop.regular()
    customer.asks(61, 0.1)
    assert customer.asks(62, 0.1).lists == []


@pytest.mark.parametrize(("new", "changes"), [(0, False), (1, False), (2, False), (3, True)])
def test_three_new_items_of_ten_are_material(shop, new, changes):
    customer = shop.regular()
    customer.asks(61, 0.1)
    ranking = shop.items[10 : 10 + new] + shop.items[:10] + shop.items[20:]
    records = customer.asks(62, 0.1, items=ranking)
    assert [shown(each) for each in records.lists] == ([ranking[:10]] if changes else [])


def test_a_new_order_of_the_same_items_is_not_material(shop):
    customer = shop.regular()
    customer.asks(61, 0.1)
    assert customer.asks(62, 0.1, items=shop.items[9::-1] + shop.items[10:]).lists == []


def test_an_item_just_bought_leaves_the_list_and_comes_back_after_its_pause(shop):
    customer = shop.regular()
    customer.asks(61, 0.1)
    customer.buys(62, items=(shop.items[4],))
    (second,) = customer.asks(62, 0.1).lists
    assert shown(second) == shop.items[:4] + shop.items[5:11]
    assert second.revision == 2
    assert customer.asks(68, 0.1).lists == []
    (later,) = customer.asks(93, 0.1).lists
    assert shown(later) == shop.items[:10]


def test_an_item_sent_back_leaves_the_list(shop):
    customer = shop.regular()
    customer.asks(75, 0.1)
    customer.returns(76, shop.items[0])
    (second,) = customer.asks(76, 0.1).lists
    assert shown(second) == shop.items[1:11]


def test_an_item_that_can_no_longer_be_had_leaves_the_list(shop):
    customer = shop.regular()
    customer.asks(61, 0.1)
    (second,) = customer.asks(62, 0.1, items=shop.items[:3] + shop.items[4:]).lists
    assert shown(second) == shop.items[:3] + shop.items[4:11]


def test_a_list_that_ran_out_is_published_again(shop):
    customer = shop.regular()
    customer.asks(61, 0.1)
    assert customer.asks(90.9, 0.1).lists == []
    assert [each.revision for each in customer.asks(91, 0.1).lists] == [2]


def test_one_item_of_a_group_is_shown(shop):
    given = shop.answer(0.1)
    given.candidates = [
        Candidate(f"shirt-{n}", 1.0, "model", item_group_id="shirt") for n in range(3)
    ] + given.candidates
    customer = shop.regular()
    (first,) = customer.answered(customer.request(61), given).lists
    assert shown(first) == ["shirt-0", *shop.items[:9]]


def test_an_outage_changes_no_list(shop):
    customer = shop.regular()
    customer.asks(61, 0.1)
    assert customer.asks(62, 0.1, fallback="timeout", items=shop.items[20:]).lists == []
    assert customer.asks(63, 0.1).lists == []


def test_an_outage_still_takes_off_the_list_what_was_bought(shop):
    customer = shop.regular()
    customer.asks(61, 0.1)
    customer.buys(62, items=(shop.items[4],))
    (second,) = customer.asks(62, 0.1, fallback="timeout", items=shop.items[:8]).lists
    assert second.fallback
    assert shop.items[4] not in shown(second)


def test_without_candidates_nothing_is_published(shop):
    assert shop.regular().asks(61, 0.1, fallback="timeout", items=[]).lists == []


def test_a_list_is_as_long_as_the_policy_says(shop):
    customer = shop.regular(in_force=shop.policies(recommendation_length=3))
    assert shown(customer.asks(61, 0.1).lists[0]) == shop.items[:3]


def repeats_then_companions(shop, causes):
    """Six own items, then ten that went with what was bought: which, by ``causes``."""
    given = shop.answer(0.1)
    repeats = [Candidate(item, 1.0, "repeat", because_item_id=item) for item in shop.items[:6]]
    companions = zip(shop.items[6:16], causes, strict=True)
    given.candidates = repeats + [Candidate(i, 0.5, "co_bought", because_item_id=cause) for i, cause in companions]
    return given


@pytest.mark.parametrize(("share", "repeats"), [(1.0, 6), (0.45, 4), (0.0, 0)])
def test_a_list_holds_as_many_repeats_as_the_policy_allows_and_fills_up_with_others(shop, share, repeats):
    customer = shop.regular(in_force=shop.policies(recommendation_repeat_share=share))
    given = repeats_then_companions(shop, shop.items[20:30])
    (first,) = customer.answered(customer.request(61), given).lists
    assert shown(first) == shop.items[:repeats] + shop.items[6 : 16 - repeats]


@pytest.mark.parametrize(("share", "most"), [(1.0, 4), (0.2, 2), (0.0, 1)])
def test_one_item_leads_to_as_many_as_the_policy_allows(shop, share, most):
    customer = shop.regular(in_force=shop.policies(recommendation_cause_share=share))
    given = repeats_then_companions(shop, [shop.items[20]] * 5 + shop.items[21:26])
    (first,) = customer.answered(customer.request(61), given).lists
    causes = [item.reason.item_id for item in first.items]
    assert len(shown(first)) == 10
    assert causes.count(shop.items[20]) == most


def test_what_no_item_led_to_is_not_bounded_by_its_cause(shop):
    customer = shop.regular(in_force=shop.policies(recommendation_cause_share=0.1))
    assert shown(customer.asks(61, 0.1).lists[0]) == shop.items[:10]


@given(st.lists(st.sampled_from("abcdefghij"), unique=True), st.lists(st.sampled_from("abcdefghij"), unique=True))
def test_overlap_is_symmetric_and_one_for_equal_lists_only(first, second):
    assert overlap(first, second) == overlap(second, first)
    assert 0.0 <= overlap(first, second) <= 1.0
    assert (overlap(first, second) == 1.0) == (set(first) == set(second))


@given(st.lists(st.tuples(st.permutations(range(15)), st.integers(0, 15)), min_size=1, max_size=6))
def test_revisions_count_without_gaps_whatever_is_ranked_and_bought(shop, rounds):
    customer = shop.regular()
    revisions = []
    for day, (ranking, bought) in enumerate(rounds, 61):
        if bought < 15:
            customer.buys(day, items=(shop.items[bought],))
        for each in customer.asks(day, 0.1, items=[shop.items[n] for n in ranking]).lists:
            revisions.append(each.revision)
            assert shop.items[bought] not in shown(each)
    assert revisions == list(range(1, len(revisions) + 1))

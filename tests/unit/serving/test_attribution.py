"""Shapley values are exact, coalitions are who they say they are, and every feature belongs somewhere by name."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.attribution import CODES, DERIVED, GROUPS, LARGEST_ROWS, _derived, explanation, shapley
from serving.catalogue import Catalogue
from serving.contributions import contributions
from serving.features import FEATURES, tensors
from serving.statistics import STATISTICS
from stream.contracts.events import Event, Review
from stream.contracts.times import DAY_MS
from tests.unit.serving.recorded_shop import START, item, shop_items
from tests.unit.serving.test_features import folded, profiles

BUSY = [
    ("cart", {"action": "add"}),
    ("cart", {"action": "clear"}),
    ("browse", {}),
    ("review", {"review": Review(rating=1.0)}),
    ("return", {}),
]
CATALOGUE = Catalogue.from_items(shop_items())
AT = START + 600 * DAY_MS


def rows(found, at=AT):
    made = tensors(found, [at] * len(found), CATALOGUE)
    return [{name: array[row : row + 1] for name, array in made.items()} for row in range(len(found))]


def event(number, kind, day, **fields):
    return Event(f"x{number}", kind, START + int(day * DAY_MS), "x", items=[item(number)], **fields)


def purchases(*days):
    return [event(number, "purchase", day, transaction_id=f"t{number}") for number, day in enumerate(days)]


def coalition(explained, *codes):
    """The row of a coalition, by the groups in it."""
    players = [CODES[group] for group in explained.players]
    row = sum(1 << bit for bit, code in enumerate(players) if code in codes)
    return {name: array[row] for name, array in explained.tensors.items()}


def test_every_statistic_is_of_one_group_or_follows_from_groups_and_none_is_called_other():
    owners = Counter(name for group in GROUPS for name in group.statistics)
    assert owners + Counter(list(DERIVED)) == Counter(STATISTICS)
    assert {code for sources in DERIVED.values() for code in sources} <= set(CODES)
    assert "other" not in CODES
    assert LARGEST_ROWS == 256


def test_of_a_game_that_is_a_sum_everybody_brings_their_own():
    values = np.array([sum(w for bit, w in enumerate((0.3, -0.2, 0.05)) if n >> bit & 1) for n in range(8)])
    assert shapley(values) == pytest.approx([0.3, -0.2, 0.05])


def test_the_glove_game():
    # One left glove and two right ones; only a pair is worth anything.
    values = np.array([float(n & 1 and n >> 1 > 0) for n in range(8)])
    assert shapley(values) == pytest.approx([2 / 3, 1 / 6, 1 / 6])


@given(st.integers(0, 6).flatmap(lambda n: st.lists(st.floats(-1, 1), min_size=1 << n, max_size=1 << n)))
def test_contributions_add_up_to_the_score_less_the_reference_s(values):
    assert shapley(np.array(values)).sum() == pytest.approx(values[-1] - values[0], abs=1e-9)


def test_the_first_row_is_churn_of_the_reference_and_the_last_one_the_customer():
    own, reference = rows(profiles(customers=2))
    explained = explanation(own, reference, AT, CATALOGUE.shop)
    assert np.array_equal(explained.tensors["stats"][0], reference["stats"][0])
    for spec in FEATURES:
        assert explained.tensors[spec.name].shape == (explained.rows, *spec.shape)
        assert np.array_equal(explained.tensors[spec.name][-1], own[spec.name][0])


def test_a_customer_like_the_reference_has_nothing_to_explain():
    own, same = rows(profiles(customers=1) * 2)
    explained = explanation(own, same, AT, CATALOGUE.shop)
    assert (explained.players, explained.rows) == ((), 1)
    assert contributions(explained, np.array([0.5])) == []


def test_what_follows_from_statistics_is_what_the_features_say():
    own = rows(profiles(customers=30))
    members = np.ones((1, len(GROUPS)), np.bool_)
    for row in own:
        stats = row["stats"]
        anew = _derived(stats.astype(np.float64), members, stats[0], stats[0], AT, CATALOGUE.shop)
        for name in DERIVED:
            assert anew[name][0] == pytest.approx(stats[0, STATISTICS.index(name)], abs=2e-4), name


def test_another_s_silence_in_the_own_rhythm_is_a_tenure_as_long():
    often = folded(purchases(*range(100, 540, 20)))
    seldom = folded(purchases(100, 300, 500))
    own, reference = rows([often, seldom])
    mixed = coalition(explanation(own, reference, AT, CATALOGUE.shop), "rhythm")["stats"]
    days = np.expm1(mixed[[STATISTICS.index("recency_days"), STATISTICS.index("tenure_days")]])
    # Both first bought on day 100; the frequent one last on day 520, and the other has been silent for 100 days.
    assert days == pytest.approx([100, 520], rel=1e-3)
    assert coalition(explanation(own, reference, AT, CATALOGUE.shop), "silence")["stats"][
        STATISTICS.index("tenure_days")
    ] == pytest.approx(np.log1p(400 + 80), rel=1e-3)


def test_contributions_are_told_by_strength_with_what_speaks_for_churn_first():
    own, reference = rows(profiles(customers=2))
    explained = explanation(own, reference, AT, CATALOGUE.shop)
    values = np.random.default_rng(3).random(explained.rows)
    told = contributions(explained, values)
    assert sum(each.contribution for each in told) == pytest.approx(values[-1] - values[0], abs=0.0004)
    order = [(each.contribution < 0, -abs(each.contribution)) for each in told]
    assert order == sorted(order)
    assert {each.code for each in told} <= set(CODES)
    spending = next(each for each in told if each.code == "spending")
    assert spending.value == pytest.approx(np.expm1(own["stats"][0, STATISTICS.index("revenue_365d")]), abs=0.01)
    assert spending.reference == pytest.approx(
        np.expm1(reference["stats"][0, STATISTICS.index("revenue_365d")]), abs=0.01
    )


@pytest.mark.parametrize("cause", CODES)
def test_a_cause_that_the_network_weighs_is_the_first_reason(cause):
    """Whatever a network weighs by one group's statistics alone is put down to that group, in any direction."""
    busy = [
        *purchases(100, 300, 500),
        *(event(40 + n, kind, 501 + n, **fields) for n, (kind, fields) in enumerate(BUSY)),
    ]
    own, reference = rows([folded(busy), folded(purchases(80, 250, 410, 590))])
    explained = explanation(own, reference, AT, CATALOGUE.shop)
    group = GROUPS[CODES.index(cause)]
    planted = [STATISTICS.index(name) for name in group.statistics]
    lean = np.sign(own["stats"][0, planted] - reference["stats"][0, planted])
    for way in (1.0, -1.0):
        noise = 0.05 * np.sin(np.arange(len(STATISTICS)))
        noise[planted] = way * lean * 2.0
        centred = explained.tensors["stats"] - reference["stats"][0]
        values = 1.0 / (1.0 + np.exp(-np.clip(centred, -1, 1) @ noise))
        told = contributions(explained, values.astype(np.float64))
        strongest = max(told, key=lambda each: abs(each.contribution))
        assert (strongest.code, np.sign(strongest.contribution)) == (cause, way)


def test_a_first_buyer_s_silence_is_told_in_days_and_no_rating_is_no_stars():
    own, reference = rows([folded(purchases(560)), folded(purchases(100, 300, 500))])
    explained = explanation(own, reference, AT, CATALOGUE.shop)
    silence = next(each for each in contributions(explained, np.arange(explained.rows) / 64) if each.code == "silence")
    assert (silence.unit, silence.value, silence.reference) == ("days_silent", pytest.approx(40), pytest.approx(100))
    assert "opinion" not in [CODES[group] for group in explained.players]

"""Policies: errors name the field, gaps are filled in one order, and the version tells every difference."""

import msgspec
import pytest

from serving.model_card import ModelCard, Period, ScoreLevels, Threshold, UnknownLevels
from stream.decisions.policies import Action, Policies, Rule


def card(*thresholds):
    span = Period("2010-01-01", "2010-12-31")
    return ModelCard(
        name="customer",
        version="1.00000000",
        feature_schema="0" * 16,
        fold_version=1,
        currency="GBP",
        data=[],
        licences=[],
        training=span,
        calibration=span,
        evaluation=span,
        evaluated_training=span,
        examples=0,
        metrics={},
        base_rates={},
        active_base_rates={},
        thresholds=list(thresholds),
        settings={},
        demo_customers=[],
    )


def threshold(raise_at=0.8, resolve_at=0.7):
    return Threshold(
        horizon="90d", budget_share=0.1, raise_at=raise_at, resolve_at=resolve_at, precision=0.9, base_rate=0.45
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"raise_threshold": 1.2}, "raise_threshold is 1.2"),
        (
            {"raise_threshold": 0.7, "resolve_threshold": 0.66},
            "resolve_threshold is 0.66: it must be",
        ),
        ({"raise_share": 1.5}, "raise_share is 1.5: it is a share"),
        ({"raise_share": 0.1, "raise_threshold": 0.7}, "raise_share and raise_threshold are both set"),
        ({"raise_share": 0.1, "resolve_threshold": 0.7}, "resolve_threshold is set without raise_threshold"),
        ({"raise_value": -1.0}, "raise_value is -1.0"),
        ({"resolve_threshold": 0.5}, "resolve_threshold is set without raise_threshold"),
        ({"silent_from_days": -1}, "silent_from_days is -1"),
        ({"silent_from_days": 30, "silent_until_days": 30}, "silent_until_days is 30"),
        ({"expiry_days": 0}, "expiry_days is 0"),
        ({"cool_down_days": -0.5}, "cool_down_days is -0.5"),
        ({"daily_budget": -1}, "daily_budget is -1"),
        ({"medium_from": 0.9, "high_from": 0.8}, "high_from is 0.8"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused_by_the_name_of_its_field(settings, message):
    with pytest.raises(ValueError, match=message):
        Rule(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"holdout_share": 1.1}, "holdout_share is 1.1"),
        ({"material_overlap": -0.1}, "material_overlap is -0.1"),
        ({"horizon_days": 45}, "horizon_days is 45"),
        ({"daily_cap": 0}, "daily_cap is 0"),
        ({"recommendation_length": 0}, "recommendation_length is 0"),
        ({"recommendation_repeat_share": 1.5}, "recommendation_repeat_share is 1.5"),
        ({"recommendation_cause_share": -0.5}, "recommendation_cause_share is -0.5"),
        ({"bought_pause_days": -1}, "bought_pause_days is -1"),
        ({"update_step": 0.0001}, "update_step is 0.0001"),
        ({"recommendation_valid_days": 0}, "recommendation_valid_days is 0"),
        ({"experiment_id": ""}, "experiment_id is empty"),
    ],
)
def test_a_policy_that_cannot_hold_is_refused_by_the_name_of_its_field(settings, message):
    with pytest.raises(ValueError, match=message):
        Policies(**settings)


def test_a_policy_read_from_a_file_says_where_the_error_is():
    with pytest.raises(msgspec.ValidationError, match=r"resolve_threshold is 0.7.*\$.churn_risk"):
        msgspec.json.decode(b'{"churn_risk": {"raise_threshold": 0.7, "resolve_threshold": 0.7}}', type=Policies)


def test_a_hysteresis_of_exactly_five_hundredths_is_allowed():
    assert Rule(raise_threshold=0.75, resolve_threshold=0.7)


def test_what_is_set_wins_over_the_card_and_the_card_over_the_constants():
    written = Policies(churn_risk=Rule(raise_threshold=0.6))
    with_card = written.in_force(card(threshold()))
    assert (with_card.rules["churn_risk"].raise_threshold, with_card.rules["churn_risk"].resolve_threshold) == (
        0.6,
        0.5,
    )
    second = with_card.rules["second_purchase"]
    assert (second.raise_threshold, second.resolve_threshold, second.base_rate) == (0.8, 0.7, 0.45)
    assert written.in_force(None).rules["second_purchase"].raise_threshold == 0.7


def test_a_card_without_enough_hysteresis_is_given_it():
    rule = Policies().in_force(card(threshold(0.8, 0.79))).rules["churn_risk"]
    assert (rule.raise_threshold, rule.resolve_threshold) == (0.8, 0.75)


def test_a_card_without_the_horizon_is_refused_only_where_it_is_needed():
    with pytest.raises(KeyError, match="no threshold for 90d"):
        Policies().in_force(card())
    both = Rule(raise_threshold=0.7)
    assert Policies(churn_risk=both, second_purchase=both).in_force(card()).rules["churn_risk"].base_rate == 0.5


def test_the_card_s_base_rate_is_told_beside_thresholds_set_by_hand():
    own = Rule(raise_threshold=0.7)
    rules = Policies(churn_risk=own, second_purchase=own).in_force(card(threshold())).rules
    assert (rules["churn_risk"].raise_threshold, rules["churn_risk"].base_rate) == (0.7, 0.45)


LEVELS = [
    ScoreLevels("90d", rhythm, "2010-12-31", 100, [0.1, 0.3], [high, low])
    for rhythm, high, low in ((True, 0.6, 0.4), (False, 0.8, 0.7))
]


def test_a_share_becomes_the_score_that_so_many_customers_of_the_kind_reach():
    by_share = Policies(churn_risk=Rule(raise_share=0.2), second_purchase=Rule(raise_share=0.3))
    rules = by_share.in_force(msgspec.structs.replace(card(), score_levels=LEVELS)).rules
    assert (rules["churn_risk"].raise_threshold, rules["churn_risk"].resolve_threshold) == (0.5, 0.45)
    assert (rules["second_purchase"].raise_threshold, rules["second_purchase"].resolve_threshold) == (0.7, 0.65)


def test_a_share_that_the_card_does_not_know_is_refused_and_says_what_to_do():
    both = Rule(raise_share=0.2)
    with pytest.raises(UnknownLevels, match="set raise_threshold instead of raise_share, or train it again"):
        Policies(churn_risk=both, second_purchase=both).in_force(card(threshold()))


def test_the_version_tells_which_score_a_share_became():
    written = Policies(churn_risk=Rule(raise_share=0.2), second_purchase=Rule(raise_threshold=0.7))
    later = [msgspec.structs.replace(levels, raise_at=[0.7, 0.5]) for levels in LEVELS]
    one, same, other = (
        written.in_force(msgspec.structs.replace(card(), score_levels=levels)).version
        for levels in (LEVELS, list(LEVELS), later)
    )
    assert one == same != other


def test_severities_lie_between_the_threshold_and_certainty():
    rule = Policies(churn_risk=Rule(raise_threshold=0.8)).in_force(None).rules["churn_risk"]
    assert rule.raise_threshold < rule.medium_from < rule.high_from < 1.0
    set_high = Policies(churn_risk=Rule(raise_threshold=0.5, medium_from=0.9)).in_force(None).rules["churn_risk"]
    assert set_high.high_from >= set_high.medium_from == 0.9


def test_the_version_is_the_same_for_the_same_content_and_differs_for_any_other():
    base = Policies().in_force(None).version
    assert Policies().in_force(None).version == base
    others = [
        Policies(daily_cap=2),
        Policies(holdout_share=0.2),
        Policies(churn_risk=Rule(expiry_days=10)),
        Policies(actions=(Action(code="call"),)),
        Policies(salt_version="2"),
    ]
    assert len({base, *(each.in_force(None).version for each in others)}) == 6
    assert len(base) == 12


def test_a_threshold_counts_as_it_is_in_force_whoever_set_it():
    by_card = Policies().in_force(card(threshold()))
    rules = {"churn_risk": {"silent_from_days": 14.0}, "second_purchase": {"silent_from_days": 21.0}}
    by_hand = Policies(
        **{
            kind: Rule(raise_threshold=0.8, resolve_threshold=0.7, base_rate=0.45, **settings)
            for kind, settings in rules.items()
        }
    ).in_force(None)
    assert by_card.version == by_hand.version
    assert Policies().in_force(None).version != by_card.version


def test_policies_survive_being_written_and_read():
    written = Policies(churn_risk=Rule(raise_threshold=0.7), actions=(Action(code="call", params={"n": 1}),))
    assert msgspec.json.decode(msgspec.json.encode(written), type=Policies) == written

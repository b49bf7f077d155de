"""The life of alerts: every status, and everything that keeps one from being raised."""

import msgspec
import pytest

from stream.contracts import topics
from stream.contracts.ids import message_id
from stream.contracts.scores import ModelStamp
from stream.contracts.times import DAY_MS, HOUR_MS, to_rfc3339
from stream.decisions import codec
from stream.decisions.budget import Budget
from stream.decisions.deployment import Deployment
from stream.decisions.policies import Rule
from stream.decisions.quiet_hours import QuietHours
from tests.unit.decisions.conftest import answer


def test_a_regular_customer_gone_silent_raises_one_complete_alert(shop):
    customer = shop.regular()
    records = customer.asks(90, 0.85, trigger="silence", traceparent="00-abc-def-01")
    (envelope,), (alert,) = records.envelopes, records.alerts
    assert records.outcome == "churn_risk=raised"
    assert envelope.type == "io.tidemark.alert.raised.v1"
    assert envelope.id == message_id(alert.alert_id, 1)
    assert (envelope.specversion, envelope.subject, envelope.partitionkey) == ("1.0", "c1", "c1")
    assert (envelope.sequence, envelope.time) == ("0000000001", to_rfc3339(shop.at(90)))
    assert envelope.dataschema == "urn:tidemark:schema:alert.v1"
    assert envelope.traceparent == "00-abc-def-01"
    assert (alert.kind, alert.status, alert.revision, alert.severity) == ("churn_risk", "raised", 1, "medium")
    assert (alert.previous_status, alert.supersedes, alert.resolve_reason) == (None, None, None)
    assert (alert.score, alert.raise_threshold, alert.resolve_threshold) == (0.85, 0.7, 0.6)
    assert alert.expires_at == to_rfc3339(shop.at(120))
    assert alert.value_at_risk.amount == round(0.85 * 400 * 90 / 365, 2)
    assert alert.context.last_order_at == to_rfc3339(shop.at(60))
    assert alert.policy_version == customer.policies.version
    assert (alert.evidence.event_ids, alert.evidence.last_offset) == ([f"e{customer.offset}"], customer.offset)
    assert alert.evidence.request_offset == customer.requests
    assert alert.suggested_action.code != "none"


def test_records_are_keyed_by_what_their_topic_is_kept_by(shop):
    customer = shop.regular()
    records = customer.asks(90, 0.85)
    (alert,) = records.alerts
    keys = {output.topic: output.key.decode() for output in records.outputs}
    assert keys == {
        topics.SCORES: "c1",
        topics.PREDICTIONS: "c1",
        topics.ALERTS: "c1",
        topics.ALERTS_OPEN: alert.alert_id,
        topics.RECOMMENDATIONS: "c1",
    }


def test_an_alert_is_raised_once_per_episode(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    assert customer.asks(92, 0.87).statuses == []
    assert customer.asks(94, 0.83).outcome == "churn_risk=unchanged"


@pytest.mark.parametrize(("score", "status"), [(0.9, "updated"), (0.8, "updated"), (0.899, None), (0.801, None)])
def test_an_update_needs_a_step_of_five_hundredths_from_what_was_published(shop, score, status):
    in_force = shop.policies(
        churn_risk=Rule(raise_threshold=0.7, resolve_threshold=0.6, medium_from=0.99, high_from=0.99)
    )
    customer = shop.regular(in_force=in_force)
    customer.asks(90, 0.85)
    assert customer.asks(91, score).statuses == ([status] if status else [])


def test_small_steps_add_up_to_an_update(shop):
    customer = shop.regular()
    customer.asks(90, 0.83)
    assert [customer.asks(91 + day, 0.83 + 0.01 * day).statuses for day in range(1, 6)] == [[], [], [], [], ["updated"]]


def test_a_change_of_severity_updates_however_small_the_step(shop):
    customer = shop.regular()
    customer.asks(90, 0.81)
    (alert,) = customer.asks(91, 0.82).alerts
    assert (alert.status, alert.severity, alert.previous_score) == ("updated", "medium", 0.81)
    assert alert.supersedes == message_id(alert.alert_id, 1)


def test_a_purchase_resolves(shop):
    customer = shop.regular()
    (raised,) = customer.asks(90, 0.85).alerts
    customer.buys(95)
    records = customer.asks(95, 0.2, trigger="purchase")
    (alert,) = records.alerts
    assert (alert.status, alert.resolve_reason, alert.previous_status) == ("resolved", "purchased", "raised")
    assert (alert.alert_id, alert.revision, alert.score, alert.previous_score) == (raised.alert_id, 2, 0.2, 0.85)
    assert alert.suggested_action.code == "none"
    (still_open,) = records.of(topics.ALERTS_OPEN)
    assert (still_open.key.decode(), still_open.value) == (alert.alert_id, None)


def test_a_purchase_resolves_even_at_a_score_that_would_raise(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    customer.buys(95)
    assert customer.asks(95, 0.95).outcome == "churn_risk=purchased"


def test_a_late_purchase_from_before_the_episode_corrects(shop):
    customer = shop.regular()
    customer.asks(90, 0.85, trigger="silence")
    customer.buys(88)
    (alert,) = customer.asks(88, 0.3, trigger="purchase").alerts
    assert (alert.status, alert.resolve_reason, alert.as_of) == ("corrected", "corrected", to_rfc3339(shop.at(90)))


def test_a_late_purchase_from_before_the_last_known_one_corrects_nothing(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    customer.buys(59)
    assert customer.asks(91, 0.84).statuses == []


def test_a_score_of_an_earlier_moment_than_one_judged_opens_and_ends_nothing(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    assert customer.asks(80, 0.1).outcome == "churn_risk=out_of_order"
    other = shop.regular("c2")
    other.asks(90, 0.1)
    assert other.asks(89, 0.9).outcome == "churn_risk=out_of_order"


def test_a_low_score_resolves_as_recovered_only_below_the_resolve_threshold(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    assert customer.asks(91, 0.6).statuses == ["updated"]
    (alert,) = customer.asks(92, 0.599).alerts
    assert (alert.status, alert.resolve_reason, alert.previous_status) == ("resolved", "recovered", "updated")


def test_between_the_thresholds_nothing_is_raised(shop):
    customer = shop.regular()
    assert customer.asks(90, 0.699).outcome == "churn_risk=below_threshold"
    assert customer.asks(91, 0.6996).outcome == "churn_risk=raised"


def test_an_alert_expires_at_its_own_time(shop):
    customer = shop.regular()
    (raised,) = customer.asks(90, 0.85).alerts
    assert customer.due == shop.at(120)
    (alert,) = customer.time_passes().alerts
    assert (alert.status, alert.resolve_reason, alert.revision) == ("expired", "expired", 2)
    assert (alert.as_of, alert.alert_id, alert.reasons) == (raised.expires_at, raised.alert_id, raised.reasons)
    assert customer.due == 0


def test_a_request_after_the_expiry_finds_the_alert_expired_whether_or_not_the_timer_fired(shop):
    def life(timer_fires):
        customer = shop.regular()
        customer.asks(90, 0.85)
        if timer_fires:
            customer.time_passes()
        customer.buys(125)
        customer.asks(125, 0.2)
        return customer

    early, late = life(True), life(False)
    alerts = [[output for output in each.log if output.topic == topics.ALERTS] for each in (early, late)]
    assert alerts[0] == alerts[1]
    assert early.kept == late.kept


def test_a_cool_down_follows_every_end(shop):
    customer = shop.regular()
    customer.asks(75, 0.85)
    assert customer.asks(76, 0.5).outcome == "churn_risk=recovered"
    assert customer.asks(105.9, 0.85).outcome == "churn_risk=cool_down"
    assert customer.asks(106, 0.85).outcome == "churn_risk=raised"


def test_a_second_episode_has_its_own_id_and_starts_at_revision_one(shop):
    customer = shop.regular()
    (first,) = customer.asks(75, 0.85).alerts
    customer.asks(76, 0.5)
    (second,) = customer.asks(106, 0.85).alerts
    assert second.revision == 1
    assert second.alert_id != first.alert_id


def test_without_a_cool_down_no_two_episodes_share_a_start(shop):
    rule = Rule(raise_threshold=0.7, resolve_threshold=0.6, cool_down_days=0)
    customer = shop.regular(in_force=shop.policies(churn_risk=rule))
    customer.asks(90, 0.85)
    customer.asks(90, 0.5)
    assert customer.asks(90, 0.85).outcome == "churn_risk=cool_down"


@pytest.mark.parametrize(
    ("day", "outcome"),
    [(70, "too_early"), (73.99, "too_early"), (74, "raised"), (150, "raised"), (150.01, "too_late")],
)
def test_only_silence_that_can_be_answered_raises(shop, day, outcome):
    assert shop.regular().asks(day, 0.95).outcome == f"churn_risk={outcome}"


def test_one_time_buyers_have_their_own_kind_and_rule(shop):
    customer = shop.customer().buys(0)
    assert customer.asks(30, 0.75).outcome == "second_purchase=below_threshold"
    (alert,) = customer.asks(31, 0.95).alerts
    assert (alert.kind, alert.raise_threshold) == ("second_purchase", 0.8)


def test_two_parcels_of_one_visit_are_no_rhythm(shop):
    assert shop.customer().buys(0, 2).asks(40, 0.9).alerts[0].kind == "second_purchase"
    assert shop.customer().buys(0, 7).asks(40, 0.9).alerts[0].kind == "churn_risk"


def test_the_kind_of_an_open_alert_does_not_change_with_the_history(shop):
    customer = shop.customer().buys(0, 20)
    customer.asks(50, 0.9)
    customer.returns(51, "bought")
    assert customer.asks(51, 0.9).outcome == "churn_risk=unchanged"
    assert len(customer.state.episodes) == 1


def test_visitors_who_never_bought_have_no_alert(shop):
    customer = shop.customer()
    customer.carts(0, "add")
    assert customer.asks(30, 0.99).outcome == "no_purchase"


def test_the_daily_cap_holds_over_all_kinds(shop):
    rules = {
        "churn_risk": Rule(raise_threshold=0.7, cool_down_days=0),
        "second_purchase": Rule(raise_threshold=0.7, cool_down_days=0),
    }
    customer = shop.regular(in_force=shop.policies(**rules))
    customer.asks(90, 0.9)
    customer.asks(90.1, 0.1)
    assert customer.asks(90.2, 0.9).outcome == "churn_risk=daily_cap"
    assert customer.asks(91.0, 0.9).outcome == "churn_risk=raised"


def test_the_budget_of_a_kind_and_day_is_shared_by_the_partition(shop):
    in_force = shop.policies(churn_risk=Rule(raise_threshold=0.7, daily_budget=2))
    budget = Budget()
    customers = [shop.regular(f"c{number}", in_force, budget) for number in range(4)]
    assert [customer.asks(90, 0.9).outcome for customer in customers] == [
        "churn_risk=raised",
        "churn_risk=raised",
        "churn_risk=budget",
        "churn_risk=budget",
    ]
    assert customers[2].asks(91, 0.9).outcome == "churn_risk=raised"


def test_an_alert_needs_so_much_at_risk_as_the_rule_asks_for(shop):
    # 400 a year make 98.63 in 90 days.
    customer = shop.regular(in_force=shop.policies(churn_risk=Rule(raise_threshold=0.7, raise_value=90.0)))
    assert customer.asks(90, 0.9).outcome == "churn_risk=below_value"
    records = customer.asks(91, 0.92)
    assert records.outcome == "churn_risk=raised"
    assert records.alerts[0].value_at_risk.amount >= 90.0
    # What is open stays so: less at risk is no recovery.
    assert customer.asks(92, 0.8).statuses == ["updated"]


def test_a_disabled_rule_ends_what_is_open_and_raises_nothing(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    customer.policies = shop.policies(churn_risk=Rule(enabled=False, raise_threshold=0.7))
    (alert,) = customer.asks(91, 0.9).alerts
    assert (alert.status, alert.resolve_reason) == ("resolved", "policy_changed")
    assert customer.asks(160, 0.9).outcome == "churn_risk=disabled"


def test_a_kind_that_no_policy_knows_any_more_ends(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    state = customer.state
    state.episodes = {"former": state.episodes["churn_risk"]}
    customer.kept = codec.encode(state)
    (alert,) = customer.asks(91, 0.9).alerts
    assert (alert.status, alert.resolve_reason) == ("resolved", "policy_changed")


def test_an_end_that_only_a_new_threshold_brings_is_called_a_change_of_policy(shop):
    customer = shop.regular()
    customer.asks(90, 0.75)
    customer.policies = shop.policies(churn_risk=Rule(raise_threshold=0.9, resolve_threshold=0.8))
    assert customer.asks(91, 0.75).outcome == "churn_risk=policy_changed"


def test_an_end_that_another_model_brings_is_not_called_a_recovery(shop):
    customer = shop.regular()
    customer.asks(90, 0.75)
    other = msgspec.structs.replace(answer(0.2), model=ModelStamp("customer", "2.0a0b0c0d", "0123456789abcdef"))
    assert customer.answered(customer.request(91), other).outcome == "churn_risk=policy_changed"


def test_a_backfill_is_answered_and_changes_no_alert(shop):
    customer = shop.regular()
    records = customer.asks(90, 0.95, mode="backfill")
    assert [output.topic for output in records.outputs] == [topics.SCORES, topics.PREDICTIONS]
    assert records.outcome == "backfill"
    customer.asks(91, 0.95)
    customer.buys(92)
    assert customer.asks(92, 0.1, mode="backfill").statuses == []
    assert customer.asks(93, 0.1).outcome == "churn_risk=purchased"


@pytest.mark.parametrize("mode", ["live", "replay", "test"])
def test_mode_and_simulated_are_carried_to_every_record(shop, mode):
    customer = shop.regular()
    records = customer.asks(90, 0.9, mode=mode, simulated=True)
    (alert,), (recommendation,) = records.alerts, records.lists
    assert (alert.mode, alert.simulated) == (mode, True)
    assert (recommendation.mode, recommendation.simulated) == (mode, True)


def test_value_and_segment_choose_the_suggested_action(shop):
    rich = shop.customer("rich").buys(0, 20, 40, 60, price=1000.0)
    poor = shop.customer("poor").buys(0, 20, 40, 60, price=1.0)
    assert rich.asks(90, 0.99).alerts[0].suggested_action.code == "personal_call"
    assert poor.asks(90, 0.99).alerts[0].suggested_action.code == "win_back_offer"
    assert poor.asks(91, 0.75).alerts[0].suggested_action.code == "recommend_items"
    none = shop.regular(in_force=shop.policies(actions=()))
    assert none.asks(90, 0.9).alerts[0].suggested_action.code == "none"


def test_what_lies_in_the_cart_is_mentioned(shop):
    customer = shop.regular()
    customer.carts(85, "add", item=shop.items[3])
    (alert,) = customer.asks(90, 0.9).alerts
    assert alert.context.items == [shop.items[3]]
    assert (alert.context.cart_value.amount, alert.context.cart_value.currency) == (10.0, "GBP")


def test_without_an_open_cart_the_last_order_is_mentioned(shop):
    customer = shop.customer().buys(0, 20).buys(40, items=(shop.items[1], shop.items[2]))
    (alert,) = customer.asks(70, 0.9).alerts
    assert sorted(alert.context.items) == shop.items[1:3]
    assert alert.context.cart_value is None


def test_a_model_s_own_reasons_are_kept_and_named_for_what_they_are(shop):
    customer = shop.regular()
    by_rule = customer.asks(90, 0.9).alerts[0]
    assert by_rule.reasons_method == "rule"
    given = shop.answer(0.95)
    given.reasons = by_rule.reasons[:1]
    (alert,) = customer.answered(customer.request(95), given).alerts
    assert (alert.reasons_method, alert.reasons) == ("shapley", by_rule.reasons[:1])


def test_an_open_alert_s_arm_outlives_a_new_draw(shop):
    customer = shop.regular()
    (raised,) = customer.asks(90, 0.85).alerts
    customer.policies = shop.policies(holdout_share=1.0, salt_version="2")
    customer.buys(91)
    records = customer.asks(91, 0.1)
    assert records.alerts[0].experiment == raised.experiment
    assert records.of(topics.ALERTS_HOLDOUT) == []


def test_anonymous_visitors_have_no_alert(shop):
    customer = shop.regular()
    customer.profile.anonymous = True
    records = customer.asks(90, 0.95)
    assert (records.outcome, records.statuses) == ("anonymous", [])


@pytest.mark.parametrize("settings", [{"secret": b""}, {"secret": b"s", "partitions": 0}])
def test_a_deployment_without_secret_or_partitions_is_refused(settings):
    with pytest.raises(ValueError, match=r"is empty|at least one"):
        Deployment(**settings)


def test_another_secret_gives_other_ids(shop):
    customer, other = shop.regular(), shop.regular()
    other.deployment = Deployment(secret=b"other")
    assert customer.asks(90, 0.9).alerts[0].alert_id != other.asks(90, 0.9).alerts[0].alert_id


def quiet(shop, **settings):
    """Nobody is alerted between 21:00 and 08:00 UTC; the days of these tests begin at midnight."""
    return shop.policies(quiet_hours=QuietHours(begin="21:00", end="08:00"), **settings)


def test_what_is_raised_in_quiet_hours_is_published_when_they_end(shop):
    customer = shop.regular(in_force=quiet(shop))
    held = customer.asks(90.9, 0.85)
    assert (held.outcome, held.alerts, held.of(topics.ALERTS_OPEN)) == ("churn_risk=quiet_hours", [], [])
    assert customer.due == shop.at(91) + 8 * HOUR_MS
    (envelope,) = customer.time_passes().envelopes
    alert = envelope.data
    assert (alert.status, alert.revision, alert.score, envelope.id) == (
        "raised",
        1,
        0.85,
        message_id(alert.alert_id, 1),
    )
    assert envelope.time == alert.as_of == alert.episode_started_at == to_rfc3339(shop.at(91) + 8 * HOUR_MS)
    assert customer.due == shop.at(121) + 8 * HOUR_MS
    assert customer.budget.spent("churn_risk", (shop.at(90) // DAY_MS)) == 1


def test_outside_of_quiet_hours_nothing_is_held(shop):
    assert shop.regular(in_force=quiet(shop)).asks(90.5, 0.85).statuses == ["raised"]


def test_a_held_alert_is_published_by_the_next_request_where_that_comes_before_the_timer(shop):
    customer = shop.regular(in_force=quiet(shop))
    customer.asks(90.9, 0.85)
    records = customer.asks(91.5, 0.93)
    assert records.statuses == ["raised", "updated"]
    assert [alert.revision for alert in records.alerts] == [1, 2]
    assert records.alerts[1].supersedes == message_id(records.alerts[0].alert_id, 1)


def test_a_held_alert_says_what_was_known_last(shop):
    customer = shop.regular(in_force=quiet(shop))
    customer.asks(90.9, 0.85)
    assert (customer.asks(91.1, 0.93).outcome, customer.due) == ("churn_risk=updated", shop.at(91) + 8 * HOUR_MS)
    (alert,) = customer.time_passes().alerts
    assert (alert.revision, alert.score, alert.as_of) == (1, 0.93, to_rfc3339(shop.at(91) + 8 * HOUR_MS))


@pytest.mark.parametrize(("score", "became"), [(0.2, "purchased"), (0.85, "purchased")])
def test_nobody_hears_of_a_held_alert_that_a_purchase_ends(shop, score, became):
    customer = shop.regular(in_force=quiet(shop))
    customer.asks(90.9, 0.85)
    customer.buys(91.1)
    records = customer.asks(91.1, score, trigger="purchase")
    assert (records.outcome, records.alerts, customer.due) == (f"churn_risk={became}", [], 0)
    assert customer.state.rests == {}


def test_nobody_hears_of_a_held_alert_of_who_recovers_withdraws_or_is_erased(shop):
    for ends in (
        lambda customer: customer.asks(91.1, 0.2),
        lambda customer: customer.chooses(91.1, marketing="denied"),
        lambda customer: customer.erases(91.1),
    ):
        customer = shop.regular(in_force=quiet(shop))
        customer.asks(90.9, 0.85)
        assert ends(customer).alerts == []


def test_a_hold_is_the_same_for_the_control_group(shop):
    customer = shop.regular(in_force=quiet(shop, holdout_share=1.0))
    assert customer.asks(90.9, 0.85).of(topics.ALERTS_HOLDOUT) == []
    assert len(customer.time_passes().of(topics.ALERTS_HOLDOUT)) == 1

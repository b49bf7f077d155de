"""What a customer forbids ends at once, and what is forgotten leaves nothing behind."""

import pytest

from stream.contracts import codec, topics


def test_denied_marketing_resolves_what_is_open_and_raises_nothing_more(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    records = customer.chooses(91, marketing="denied")
    (alert,) = records.alerts
    assert (alert.status, alert.resolve_reason) == ("resolved", "consent_withdrawn")
    assert records.of(topics.PREDICTIONS) == records.of(topics.RECOMMENDATIONS) == []
    assert customer.asks(150, 0.9).outcome == "churn_risk=no_consent"


def test_a_request_that_says_marketing_is_denied_is_obeyed_like_a_withdrawal(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    records = customer.asks(91, 0.9, marketing=False)
    assert [alert.resolve_reason for alert in records.alerts] == ["consent_withdrawn"]
    assert len(records.of(topics.SCORES)) == 1


def test_denied_personalization_takes_back_alert_view_and_list(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    records = customer.chooses(91, personalization="denied")
    assert [alert.resolve_reason for alert in records.alerts] == ["consent_withdrawn"]
    assert [(output.key, output.value) for output in records.of(topics.PREDICTIONS)] == [(b"c1", None)]
    assert [(output.key, output.value) for output in records.of(topics.RECOMMENDATIONS)] == [(b"c1", None)]
    assert customer.chooses(92, personalization="denied").outputs == []


def test_nobody_is_scored_against_their_will(shop):
    customer = shop.regular()
    assert [output.value for output in customer.asks(90, 0.9, personalization=False).outputs] == [None, None]
    assert customer.asks(91, 0.9, personalization=False).outputs == []


def test_consent_given_again_lets_alerts_and_lists_return(shop):
    customer = shop.regular()
    customer.asks(90, 0.85)
    customer.chooses(91, personalization="denied")
    customer.chooses(100, personalization="granted")
    records = customer.asks(125, 0.85)
    assert records.statuses == ["raised"]
    assert [each.revision for each in records.lists] == [2]


def test_a_question_that_waits_is_dropped_with_the_consent(shop):
    customer = shop.regular()
    customer.asks(90, 0.9, fallback="timeout")
    customer.chooses(91, personalization="denied")
    assert customer.asked_again() == []


def test_a_retry_on_its_way_when_consent_was_withdrawn_is_void(shop):
    customer = shop.regular()
    customer.asks(90, 0.9, fallback="timeout")
    (retry,) = customer.asked_again()
    customer.chooses(91, personalization="denied")
    assert customer.answered(retry, shop.answer(0.9)).outputs == []


def test_a_withdrawal_by_somebody_unknown_still_clears_the_outputs(shop):
    customer = shop.customer().buys(0)
    assert [output.value for output in customer.chooses(1, personalization="denied").outputs] == [None, None]
    other = shop.customer("c2").buys(0)
    assert other.chooses(1, marketing="denied").outputs == []


def test_an_erasure_ends_alerts_first_and_then_clears_every_kept_topic(shop):
    customer = shop.regular()
    (raised,) = customer.asks(90, 0.85).alerts
    records = customer.erases(91)
    assert [output.topic for output in records.outputs] == [
        topics.ALERTS,
        topics.ALERTS_OPEN,
        topics.PREDICTIONS,
        topics.RECOMMENDATIONS,
        topics.ERASED,
    ]
    (alert,) = records.alerts
    assert (alert.status, alert.resolve_reason, alert.revision) == ("resolved", "erased", 2)
    assert [(output.key.decode(), output.value) for output in records.of(topics.ALERTS_OPEN)] == [
        (raised.alert_id, None)
    ]
    assert all(output.value is None for output in records.outputs[1:-1])
    assert customer.kept is None


def test_an_erasure_s_last_words_repeat_nothing_of_the_customer_s_behaviour(shop):
    customer = shop.regular()
    customer.carts(85, "add", item=shop.items[3])
    customer.asks(90, 0.85)
    (alert,) = customer.erases(91).alerts
    assert (alert.reasons, alert.context.items, alert.context.last_order_at) == ([], [], None)
    assert alert.evidence.event_ids == []


def test_an_erasure_of_somebody_unknown_clears_all_the_same(shop):
    customer = shop.customer()
    assert [output.topic for output in customer.erases(0).outputs] == [
        topics.PREDICTIONS,
        topics.RECOMMENDATIONS,
        topics.ERASED,
    ]


def test_the_news_of_an_erasure_names_customer_and_place_and_is_the_same_when_it_is_told_again(shop):
    (told,) = shop.customer().erases(0).of(topics.ERASED)
    event = codec.decode_erased_event(told.value)
    assert (told.key, event.subject, event.data.customer_id) == (b"c1", "c1", "c1")
    assert event.type == "io.tidemark.customer.erased.v1"
    (again,) = shop.customer().erases(0).of(topics.ERASED)
    assert again.value == told.value


def test_a_retry_on_its_way_does_not_bring_an_erased_customer_back(shop):
    customer = shop.regular()
    customer.asks(90, 0.9, fallback="timeout")
    (retry,) = customer.asked_again()
    customer.erases(91)
    assert customer.answered(retry, shop.answer(0.9)).outputs == []
    assert customer.kept is None
    customer.buys(92)
    customer.asks(92, 0.5)
    assert customer.answered(retry, shop.answer(0.9)).outputs == []


def test_a_retry_whose_state_is_gone_is_void_but_that_of_a_new_state_is_not(shop):
    customer = shop.regular()
    customer.erases(70)
    customer.buys(71, 80, 90)
    customer.asks(110, 0.9, fallback="timeout")
    (retry,) = customer.asked_again()
    assert customer.answered(retry, shop.answer(0.9)).statuses == ["raised"]


@pytest.mark.parametrize("end", ["denial", "erasure"])
def test_an_alert_whose_time_was_up_before_has_expired_even_so(shop, end):
    customer = shop.regular()
    customer.asks(90, 0.85)
    records = customer.chooses(125, marketing="denied") if end == "denial" else customer.erases(125)
    assert records.statuses == ["expired"]
    assert (records.alerts[0].reasons == []) == (end == "erasure")

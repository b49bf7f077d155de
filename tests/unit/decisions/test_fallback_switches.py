"""A server that comes and goes: nothing is raised or resolved because of it, and whoever was answered without it is
asked again."""

from hypothesis import given
from hypothesis import strategies as st

from stream.contracts import topics
from stream.decisions.timers import waiting

REASONS = ("breaker_open", "timeout", "unavailable", "bad_output", "no_model")


def test_a_fallback_keeps_predictions_flowing(shop):
    records = shop.regular().asks(90, 0.95, fallback="breaker_open")
    assert [output.topic for output in records.outputs] == [topics.SCORES, topics.PREDICTIONS, topics.RECOMMENDATIONS]
    assert b'"fallback":true' in records.of(topics.PREDICTIONS)[0].value
    assert records.outcome == "churn_risk=fallback"


def test_a_fallback_neither_raises_nor_resolves(shop):
    customer = shop.regular()
    assert customer.asks(89, 0.99, fallback="timeout").statuses == []
    customer.asks(90, 0.85)
    assert customer.asks(91, 0.01, fallback="timeout").statuses == []
    assert customer.asks(92, 0.99, fallback="timeout").statuses == []


def test_what_is_no_score_ends_an_alert_under_a_fallback_too(shop):
    customer = shop.regular()
    (raised,) = customer.asks(90, 0.85).alerts
    customer.buys(95)
    (alert,) = customer.asks(95, 0.3, fallback="breaker_open").alerts
    assert (alert.status, alert.resolve_reason) == ("resolved", "purchased")
    assert (alert.score, alert.model) == (raised.score, raised.model)
    other = shop.regular("c2")
    other.asks(90, 0.85)
    assert other.asks(125, 0.3, fallback="breaker_open").statuses == ["expired"]


@given(
    scores=st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(("", *REASONS)), st.floats(0, 1)), min_size=1, max_size=12
    )
)
def test_with_and_without_outages_the_model_s_answers_lead_to_the_same_alerts(shop, scores):
    """Fallback answers thrown into a sequence of the model's change no transition but for its place in the log."""
    outages, calm = shop.regular(), shop.regular()
    for day, (score, reason, guess) in enumerate(scores):
        if reason:
            assert (
                outages.asks(75 + 2 * day, guess, fallback=reason, last_offset=day, request_id=f"f{day}").statuses == []
            )
        else:
            got = outages.asks(75 + 2 * day, score).alerts
            want = calm.asks(75 + 2 * day, score).alerts
            assert [(a.status, a.score, a.severity, a.revision) for a in got] == [
                (a.status, a.score, a.severity, a.revision) for a in want
            ]


def test_a_fallback_s_answer_waits_to_be_asked_again(shop):
    customer = shop.regular()
    asked = customer.request(90)
    customer.answered(asked, shop.answer(0.9, "breaker_open"))
    (retry,) = customer.asked_again()
    assert (retry.trigger, retry.attempt, retry.as_of, retry.profile) == ("retry", 1, asked.as_of, asked.profile)
    assert retry.request_id != asked.request_id
    assert customer.asked_again() == []
    records = customer.answered(retry, shop.answer(0.9))
    assert records.statuses == ["raised"]
    assert customer.asked_again() == []


def test_only_the_newest_question_waits(shop):
    customer = shop.regular()
    customer.asks(90, 0.9, fallback="timeout")
    customer.asks(91, 0.9, fallback="timeout")
    (retry,) = customer.asked_again()
    assert retry.as_of == shop.at(91)


def test_a_model_s_answer_ends_the_waiting(shop):
    customer = shop.regular()
    customer.asks(90, 0.9, fallback="timeout")
    customer.asks(91, 0.5)
    assert customer.asked_again() == []


def test_a_retry_that_a_newer_answer_overtook_is_recorded_and_changes_nothing(shop):
    customer = shop.regular()
    customer.asks(90, 0.9, fallback="timeout")
    (retry,) = customer.asked_again()
    customer.buys(91)
    customer.asks(91, 0.1)
    before = customer.kept
    records = customer.answered(retry, shop.answer(0.99))
    assert [output.topic for output in records.outputs] == [topics.SCORES]
    assert records.outcome == "superseded"
    assert customer.kept == before


def test_errors_are_asked_again_a_bounded_number_of_times(shop):
    customer = shop.regular()
    customer.asks(90, 0.9, fallback="bad_output")
    attempts = []
    while retries := customer.asked_again():
        attempts.append(retries[0].attempt)
        customer.answered(retries[0], shop.answer(0.9, "bad_output"))
    assert attempts == [1, 2, 3]


def test_an_open_breaker_is_waited_for_without_bound(shop):
    customer = shop.regular()
    customer.asks(90, 0.9, fallback="breaker_open")
    for attempt in range(1, 10):
        (retry,) = customer.asked_again()
        assert retry.attempt == attempt
        customer.answered(retry, shop.answer(0.9, "breaker_open"))


def test_every_retry_has_an_id_of_its_own(shop):
    customer = shop.regular()
    customer.asks(90, 0.9, fallback="breaker_open")
    ids = set()
    for _ in range(4):
        (retry,) = customer.asked_again()
        ids.add(retry.request_id)
        customer.answered(retry, shop.answer(0.9, "breaker_open"))
    assert len(ids) == 4


def test_nobody_waits_who_was_answered_by_the_model(shop):
    customer = shop.regular()
    customer.asks(90, 0.9)
    assert customer.asked_again() == []


def test_a_state_says_whether_it_waits(shop):
    customer = shop.regular()
    customer.asks(89, 0.9)
    assert not waiting(customer.state)
    customer.asks(90, 0.9, fallback="timeout")
    assert waiting(customer.state)
    customer.asked_again()
    assert not waiting(customer.state)

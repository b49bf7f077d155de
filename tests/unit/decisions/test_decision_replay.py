"""The same log gives the same bytes; every episode's revisions count from one without a gap; nothing is opened
twice."""

from collections import defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.contracts import topics
from stream.contracts.codec import decode_alert_event
from stream.contracts.ids import message_id
from stream.decisions.policies import Rule

WHAT_HAPPENS = ["ask"] * 3 + ["buy", "late", "outage", "retry", "deny", "grant", "timer", "return", "erase"]
ENDED = {"resolved", "expired", "corrected"}

steps = st.lists(
    st.tuples(
        st.sampled_from(WHAT_HAPPENS),
        st.floats(0.1, 12.0),
        st.sampled_from([0.05, 0.3, 0.58, 0.6, 0.65, 0.7, 0.74, 0.8, 0.9, 0.97]),
    ),
    max_size=40,
)


def policy(shop):
    quick = {"silent_from_days": 0, "cool_down_days": 3, "expiry_days": 25}
    return shop.policies(
        churn_risk=Rule(raise_threshold=0.7, resolve_threshold=0.6, **quick),
        second_purchase=Rule(raise_threshold=0.8, resolve_threshold=0.7, **quick),
        holdout_share=0.3,
    )


def lived(shop, name, taken):
    """A customer to whom the steps happened."""
    customer = shop.regular(name, policy(shop))
    day = 61.0
    for what, wait, score in taken:
        day += wait
        if what == "ask":
            customer.asks(day, score)
        elif what == "outage":
            customer.asks(day, score, fallback="breaker_open" if score > 0.5 else "timeout")
        elif what == "retry" and customer.state is not None:
            for request in customer.asked_again():
                customer.answered(request, shop.answer(score))
        elif what in ("buy", "late"):
            customer.buys(day - (2.5 if what == "late" else 0), items=(shop.items[int(score * 10)],))
            customer.asks(day, score, trigger="purchase")
        elif what == "return":
            customer.returns(day, "bought")
            customer.asks(day, score, trigger="return")
        elif what in ("deny", "grant"):
            customer.chooses(day, marketing="denied" if what == "deny" else "granted")
        elif what == "timer" and customer.due and customer.due <= shop.at(day):
            customer.time_passes()
        elif what == "erase" and score > 0.9:
            customer.erases(day)
            customer.buys(day)
    return customer


@given(taken=steps)
@settings(max_examples=150)
def test_a_replay_writes_the_same_bytes(shop, taken):
    first, second = lived(shop, "c7", taken), lived(shop, "c7", taken)
    assert first.log == second.log
    assert first.kept == second.kept


@given(taken=steps, name=st.sampled_from(["c1", "c2", "c3", "c4", "c5", "c6"]))
@settings(max_examples=300)
def test_every_episode_is_told_in_order_without_gaps_on_one_topic(shop, taken, name):
    episodes = defaultdict(list)
    open_now = set()
    for output in lived(shop, name, taken).log:
        if output.topic in (topics.ALERTS, topics.ALERTS_HOLDOUT):
            envelope = decode_alert_event(output.value)
            episodes[envelope.data.alert_id].append((output.topic, envelope))
        elif output.topic == topics.ALERTS_OPEN:
            (open_now.discard if output.value is None else open_now.add)(output.key.decode())
    for alert_id, told in episodes.items():
        written_to, envelopes = zip(*told, strict=True)
        alerts = [envelope.data for envelope in envelopes]
        assert len(set(written_to)) == 1
        assert [alert.revision for alert in alerts] == list(range(1, len(alerts) + 1))
        assert [envelope.id for envelope in envelopes] == [message_id(alert_id, n + 1) for n in range(len(alerts))]
        assert alerts[0].status == "raised"
        assert all(alert.status == "updated" for alert in alerts[1:-1])
        for earlier, later in pairwise(alerts):
            assert later.previous_status == earlier.status
            assert later.previous_score == earlier.score
            assert later.supersedes == message_id(alert_id, earlier.revision)
            assert later.as_of >= earlier.as_of
        assert (alert_id in open_now) == (alerts[-1].status not in ENDED and written_to[0] == topics.ALERTS)


@given(taken=steps)
@settings(max_examples=150)
def test_at_most_one_alert_is_open_and_each_day_raises_one_at_most(shop, taken):
    customer = lived(shop, "c9", [step for step in taken if step[0] != "erase"])
    open_count, days = 0, defaultdict(int)
    for output in customer.log:
        if output.topic not in (topics.ALERTS, topics.ALERTS_HOLDOUT):
            continue
        alert = decode_alert_event(output.value).data
        open_count += {"raised": 1, "updated": 0}.get(alert.status, -1)
        assert open_count in (0, 1)
        if alert.status == "raised":
            days[alert.as_of[:10]] += 1
    assert all(count == 1 for count in days.values())

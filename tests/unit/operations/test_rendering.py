"""Records as lines for people."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts import topics
from stream.contracts.alerts import OpenAlert
from stream.contracts.codec import encode
from stream.contracts.control import Control
from stream.contracts.dead_letters import dead_letter
from stream.contracts.emission import Headers, Origin, Rejected
from stream.contracts.recommendations import Recommendation, RecommendationReason, RecommendedItem
from stream.contracts.scores import Answer, Contribution, Prediction, Score, ScoreRequest
from stream.operations.rendering import line
from stream.operations.sentences import recommended_because, sentence
from stream.operations.tail import TailedRecord
from tests.unit.operations.messages import AT, AT_MS, EXPERIMENT, STAMP, alert


def shown(logical: str, value: bytes | None, headers: Headers = ()) -> str:
    record = TailedRecord(logical, 0, 0, AT_MS, b"key", value, headers)
    text = line(logical, record, {"p1": "MUG", "p2": "TIN"}.get)  # type: ignore[arg-type]
    assert "\n" not in text
    return text


def test_an_alert_says_its_reasons_as_sentences() -> None:
    assert shown(topics.ALERTS, encode(alert())) == (
        "2011-06-01 09:12  raised churn risk, customer 13085: score 0.83, high, 1,234 GBP at risk. "
        "No order for 68 days; usually one comes every 29 days."
    )


def test_of_many_reasons_a_line_says_the_first_three() -> None:
    text = shown(topics.ALERTS, encode(alert(reasons=[Contribution(f"reason_{n}", 1.0) for n in range(5)])))
    assert text.endswith("Reason 0: 1. Reason 1: 1. Reason 2: 1.")


def test_an_end_says_why_it_ended_and_repeats_no_reasons() -> None:
    text = shown(topics.ALERTS_HOLDOUT, encode(alert(status="resolved", resolve_reason="consent_withdrawn")))
    assert "resolved churn risk (consent withdrawn), customer 13085" in text
    assert "usually" not in text


def test_recommendations_are_shown_by_product_name() -> None:
    items = [
        RecommendedItem(place, item, 1.0, RecommendationReason("bought_before"), "repeat")
        for place, item in enumerate(("p1", "p2"))
    ]
    found = Recommendation("r", 3, "13085", AT, AT, "live", items, STAMP, "p", "c", fallback=True)
    assert (
        shown(topics.RECOMMENDATIONS, encode(found)) == "2011-06-01 09:12  customer 13085, list 3 (fallback): MUG; TIN"
    )


def test_a_dead_letter_says_what_was_wrong_and_where_it_lies() -> None:
    rejected = Rejected("out_of_range", "negative price", "$.items[0].price")
    letter = dead_letter(
        rejected,
        Origin("customer.events.v1", 2, 77),
        key=b"c1",
        value=b'{"a": 1}',
        headers=(),
        timestamp=AT_MS,
        worker_version="1",
    )
    text = shown(topics.DEAD_LETTERS, letter.value, letter.headers)
    assert "out_of_range at $.items[0].price: negative price" in text
    assert "[customer.events.v1 2:77]" in text
    assert text.endswith('{"a": 1}')


EVENT = {"event_id": "e", "time": AT_MS, "customer_id": "13085"}
TWO = [{"item_id": "p1", "item_name": "MUG", "price": 2.5, "quantity": 4}, {"item_id": "p2", "price": 1.0}]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"type": "purchase", "currency": "GBP", "items": TWO}, "purchase, customer 13085: 2 items, 11.00 GBP"),
        ({"type": "browse", "items": TWO}, "browse, customer 13085: MUG, p2"),
        (
            {"type": "browse", "items": [{"item_id": str(n)} for n in range(5)]},
            "browse, customer 13085: 0, 1, 2 and 2 more",
        ),
        ({"type": "cart", "action": "remove", "items": TWO[:1]}, "cart, customer 13085: remove MUG"),
        ({"type": "review", "items": TWO[:1], "review": {"rating": 4}}, "review, customer 13085: MUG: 4 of 5"),
        ({"type": "engagement", "engagement": {"action": "opened"}}, "engagement, customer 13085: opened"),
        ({"type": "erase", "simulated": True}, "erase (simulated), customer 13085"),
    ],
)
def test_events(fields: dict[str, object], expected: str) -> None:
    assert shown(topics.EVENTS, json.dumps({**EVENT, **fields}).encode()) == f"2011-06-01 09:12  {expected}"


def answer(fallback: bool) -> Answer:
    return Answer({"30d": 0.5, "90d": 0.25}, {}, 1.0, 1.0, "GBP", [], STAMP, fallback=fallback)


@pytest.mark.parametrize(
    ("logical", "message", "expected"),
    [
        (
            topics.SCORES,
            Score("r", "13085", AT_MS, "purchase", answer(True), 0, 0),
            "customer 13085 (purchase): churn 0.50 in 30d, 0.25 in 90d, by customer 1.abc (fallback)",
        ),
        (
            topics.PREDICTIONS,
            Prediction("13085", AT_MS, {"90d": 0.25}, 1.0, 1.0, "GBP", STAMP),
            "customer 13085: churn 0.25 in 90d, by customer 1.abc",
        ),
        (topics.SCORE_REQUESTS, ScoreRequest("tick", as_of=AT_MS), "tick"),
        (
            topics.SCORE_REQUESTS,
            ScoreRequest("score", customer_id="13085", as_of=AT_MS, trigger="silence"),
            "score, customer 13085, because of silence",
        ),
        (topics.CONTROL, Control("model", "2", AT_MS, reason="better"), "model 2: better"),
        (
            topics.ALERTS_OPEN,
            OpenAlert("a1", "churn_risk", "13085", 1, "raised", "high", 0.83, AT, AT, AT, EXPERIMENT),
            "open churn risk, customer 13085: score 0.83, high, until 2011-06-01 09:12",
        ),
    ],
)
def test_what_tidemark_writes_itself(logical: str, message: object, expected: str) -> None:
    assert shown(logical, encode(message)) == f"2011-06-01 09:12  {expected}"


def test_catalogue_items() -> None:
    assert shown(topics.CATALOGUE, b'{"item_id":"p1","item_name":"MUG","price":2.5,"currency":"GBP"}') == (
        "p1  MUG, 2.50 GBP, in stock"
    )


def test_a_tombstone_is_shown_as_gone() -> None:
    assert shown(topics.PREDICTIONS, None) == "key  gone (null)"


@given(st.sampled_from([*topics.TOPICS, "profiles_changelog"]), st.binary(max_size=300))
def test_nothing_is_refused(logical: str, value: bytes) -> None:
    assert shown(logical, value)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Contribution("negative_review", 2.0, "stars", 3.0), "The latest review gave 2 of 5 stars."),
        (Contribution("low_engagement", 0.05, "share", 0.2), "Opens 5% of the messages; 20% is ordinary."),
        (Contribution("frequency_drop", 1.0, "orders_90d", 2.49), "Orders in the last 90 days: 1; usual are 2.5."),
        (
            Contribution("recent_order", 3.4, "days", 36.09),
            "The last order is only 3.4 days old; usually one comes every 36 days.",
        ),
        (
            Contribution("silence", 2.41, "own_gaps", 0.82, 0.3),
            "No order for 2.4 times the own gap between orders (ordinary: 0.8).",
        ),
        (Contribution("silence", 41.2, "days_silent", 25.4, 0.3), "No order for 41 days (ordinary: 25)."),
        (Contribution("rhythm", 3.0, "orders_365d", 7.0), "Orders within a year: 3 (ordinary: 7)."),
        (Contribution("opinion", 4.0, "stars"), "Stars given on average: 4."),
    ],
)
def test_figures_are_rounded_as_people_say_them(reason: Contribution, said: str) -> None:
    assert sentence(reason) == said


def test_a_code_without_a_sentence_is_spelled_out() -> None:
    assert sentence(Contribution("stock_level", 3.0, "items_left", 10.0)) == "Stock level: 3 items left (usual: 10)."
    assert sentence(Contribution("luck", 0.5)) == "Luck: 0.5."


def test_a_recommendation_names_the_item_that_led_to_it() -> None:
    assert (
        recommended_because(RecommendationReason("bought_together", "p1"), str.upper) == "often bought together with P1"
    )
    assert recommended_because(RecommendationReason("popular_now"), str) == "popular now"


def test_json_keeps_what_is_json_and_says_what_is_bytes() -> None:
    record = TailedRecord("t", 1, 2, 3, b"k", b'{"a":1}', (("h", b"\xff"),))
    assert json.loads(record.as_json()) == {
        "topic": "t",
        "partition": 1,
        "offset": 2,
        "timestamp": 3,
        "key": "k",
        "value": {"a": 1},
        "headers": {"h": "base64:/w=="},
    }


@given(st.text(st.sampled_from("\x00\x07\x1b\x7f\x85\x9b\n\r\ta[31m"), min_size=1))
def test_control_characters_never_reach_the_terminal(name: str) -> None:
    value = {"event_id": "e", "time": AT_MS, "customer_id": name, "type": "browse", "items": [{"item_id": name}]}
    text = shown(topics.EVENTS, json.dumps(value).encode())
    assert not [character for character in text if unicodedata.category(character) == "Cc"]


@pytest.mark.parametrize("levels", [300, 5_000, 200_000])
def test_what_is_nested_too_deeply_is_shown_all_the_same(levels: int) -> None:
    value = b'{"extra": ' + b"[" * levels + b"]" * levels + b"}"
    assert '{"extra": [[[' in shown(topics.EVENTS, value)
    record = TailedRecord(topics.EVENTS, 0, 0, AT_MS, b"key", value, (("h", value),))
    assert json.loads(record.as_json())["value"] == value.decode()

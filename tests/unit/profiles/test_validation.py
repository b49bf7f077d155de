"""The rows of the table "Bad input" that one record alone can show, and that nothing but a refusal is ever raised."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.emission import Rejected
from stream.contracts.events import Event
from stream.contracts.headers import TICK
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings
from stream.profiles.validation import event_time, read_event
from tests.unit.profiles.shop import START, step

SETTINGS = ProfileSettings(exchange_rates={"JPY": 0.005})
NOW = START + 60_000
ITEM = {"item_id": "85123A", "item_name": "lantern", "price": 2.55, "quantity": 6}
PURCHASE: dict[str, Any] = {
    "event_id": "e-1",
    "type": "purchase",
    "time": START,
    "customer_id": "c-1",
    "transaction_id": "o-1",
    "currency": "GBP",
    "items": [ITEM],
}


def read(value: Any, key: bytes | None = b"c-1", headers: Any = (), now: int = NOW) -> Event:
    return read_event(value if isinstance(value, bytes) else json.dumps(value).encode(), key, headers, now, SETTINGS)


def changed(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in (PURCHASE | fields).items() if value is not None}


def line(**fields: Any) -> dict[str, Any]:
    return changed(items=[ITEM, {name: value for name, value in (ITEM | fields).items() if value is not None}])


def test_a_good_event_passes_with_its_time_in_milliseconds() -> None:
    event = read(changed(time="2011-03-13T07:06:40Z", unknown_field={"is": "ignored"}))
    assert event.time == event_time(event) == START
    assert event.items[0].item_id == "85123A"


def test_a_cloud_event_passes() -> None:
    envelope = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "com.shop.purchase", "data": PURCHASE}
    assert read(envelope).event_id == "e-1"


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        (b"{", "not_json", ""),
        (b"\xff\xfe", "not_json", ""),
        (b'{"event_id": "\xff"}', "not_json", ""),
        (b'{"nested": ' + b"[" * 100_000, "not_json", ""),
        (json.dumps(line(price=float("nan"))).encode(), "not_json", ""),
        (json.dumps(line(price=float("inf"))).encode(), "not_json", ""),
        (b"[]", "wrong_shape", "$"),
        (line(price="2.55"), "wrong_shape", "$.items[1].price"),
        (changed(time="yesterday"), "wrong_shape", "$.time"),
        (changed(time="2011-03-13T07:06:40"), "wrong_shape", "$.time"),
        (changed(type="wish"), "unknown_type", "$.type"),
        (changed(event_id=None), "missing_field", "$.event_id"),
        (changed(event_id=""), "missing_field", "$.event_id"),
        (changed(time=None), "missing_field", "$.time"),
        (changed(customer_id=None), "missing_field", "$.customer_id"),
        (changed(items=None), "missing_field", "$.items"),
        (line(item_id=None), "missing_field", "$.items[1].item_id"),
        (line(item_id=""), "missing_field", "$.items[1].item_id"),
        (line(price=None), "missing_field", "$.items[1].price"),
        (changed(type="cart"), "missing_field", "$.action"),
        (changed(type="cart", action="add", items=None), "missing_field", "$.items"),
        (changed(type="return", items=None, transaction_id=None), "missing_field", "$.items"),
        (changed(type="review"), "missing_field", "$.review"),
        (changed(type="identify"), "missing_field", "$.anonymous_id"),
        (changed(type="consent"), "missing_field", "$.consent"),
        (changed(type="engagement"), "missing_field", "$.engagement"),
        (changed(time=START * 1000), "out_of_range", "$.time"),
        (changed(time=-1), "out_of_range", "$.time"),
        (changed(time=10**40), "out_of_range", "$.time"),
        (line(price=-0.01), "out_of_range", "$.items[1].price"),
        (line(price=1e300), "out_of_range", "$.items[1].price"),
        (line(quantity=0), "out_of_range", "$.items[1].quantity"),
        (line(quantity=-3), "out_of_range", "$.items[1].quantity"),
        (line(quantity=1e7), "out_of_range", "$.items[1].quantity"),
        (line(price=1e6, quantity=1e6), "out_of_range", "$.items"),
        (changed(items=[ITEM] * 501), "out_of_range", "$.items"),
        (line(item_id="x" * 129), "out_of_range", "$.items[1].item_id"),
        (changed(event_id="x" * 129), "out_of_range", "$.event_id"),
        (changed(session_id="x" * 129), "out_of_range", "$.session_id"),
        (changed(type="review", review={"rating": 0}), "out_of_range", "$.review.rating"),
        (changed(type="review", review={"rating": 5.5}), "out_of_range", "$.review.rating"),
        (changed(currency="EUR"), "unknown_currency", "$.currency"),
        (changed(customer_id="c-2"), "wrong_key", ""),
        (changed(type="tick"), "forged_tick", "$.type"),
        (b" " * (1024 * 1024 + 1), "too_large", ""),
    ],
)
def test_bad_input_is_refused_with_code_and_field(value: Any, code: str, field: str) -> None:
    with pytest.raises(Rejected) as refused:
        read(value)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert refused.value.message


def test_a_record_without_a_value_is_refused() -> None:
    with pytest.raises(Rejected, match="type erase"):
        read_event(None, b"c-1", (), NOW, SETTINGS)


def test_five_minutes_ahead_of_the_append_time_is_believed_and_more_is_not() -> None:
    assert read(changed(time=NOW + 300_000)).time == NOW + 300_000
    with pytest.raises(Rejected) as refused:
        read(changed(time=NOW + 300_001))
    assert refused.value.code == "in_future"


def test_a_known_currency_is_judged_in_the_configured_one() -> None:
    assert read(changed(currency="JPY", items=[ITEM | {"price": 1e8}]))
    with pytest.raises(Rejected, match="1e\\+06 for one unit"):
        read(changed(currency="JPY", items=[ITEM | {"price": 1e9}]))


def test_a_visitor_is_keyed_by_the_anonymous_id() -> None:
    visit = changed(type="browse", customer_id=None, anonymous_id="v-1")
    assert read(visit, b"v-1").subject == "v-1"
    with pytest.raises(Rejected, match="wrong_key"):
        read(visit, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "return", "items": None},
        {"type": "return", "items": [{"item_id": "85123A"}], "transaction_id": None},
        {"type": "cart", "action": "clear", "items": None},
        {"type": "browse", "items": None},
        {"type": "review", "review": {"text": "lovely"}},
        {"type": "erase", "items": None},
        {"type": "identify", "anonymous_id": "v-1"},
    ],
)
def test_what_is_enough_for_its_type_passes(fields: dict[str, Any]) -> None:
    assert read(changed(**fields)).type == fields["type"]


def test_a_tick_of_our_own_passes_and_one_with_a_key_does_not() -> None:
    tick = {"event_id": "", "type": "tick", "time": START}
    assert read(tick, None, [(TICK, b"0.1.0")]).type == "tick"
    for key, headers in ((b"c-1", [(TICK, b"0.1.0")]), (None, [])):
        with pytest.raises(Rejected, match="forged_tick"):
            read(tick, key, headers)


@given(st.binary(max_size=300), st.one_of(st.none(), st.binary(max_size=8)))
def test_no_bytes_raise_anything_but_a_refusal(value: bytes, key: bytes | None) -> None:
    with pytest.raises(Rejected):
        read_event(value, key, [("ce_specversion", b"1.0")] if key else (), NOW, SETTINGS)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = {
    "event_id": st.text(max_size=4),
    "type": st.sampled_from(["browse", "cart", "purchase", "return", "review", "identify", "consent", "engagement"]),
    "time": st.integers(START - DAY_MS, START + DAY_MS) | st.datetimes().map(str),
    "customer_id": st.just("c-1"),
    "anonymous_id": st.text(max_size=3),
    "transaction_id": st.text(max_size=3),
    "currency": st.sampled_from(["", "GBP", "JPY", "XXX"]),
    "action": st.sampled_from(["add", "remove", "clear"]),
    "items": st.lists(
        st.fixed_dictionaries(
            {"item_id": st.text(max_size=3)},
            optional={
                "price": st.floats(0, 1e7) | ANYTHING,
                "quantity": st.floats(0, 1e7) | ANYTHING,
                "item_category": st.text(max_size=3),
            },
        ),
        max_size=3,
    ),
    "review": st.fixed_dictionaries({}, optional={"rating": st.floats(0, 6)}),
    "consent": st.fixed_dictionaries({}, optional={"marketing": st.sampled_from(["granted", "denied"])}),
    "engagement": st.fixed_dictionaries({"action": st.sampled_from(["sent", "clicked", "unsubscribed"])}),
}


@given(st.fixed_dictionaries({}, optional={name: field | ANYTHING for name, field in FIELDS.items()}))
def test_no_json_raises_anything_but_a_refusal(value: dict[str, Any]) -> None:
    with suppress(Rejected):
        read(value)


@given(st.fixed_dictionaries(FIELDS))  # type: ignore[arg-type]
def test_what_passes_can_be_folded(value: dict[str, Any]) -> None:
    try:
        event = read(value)
    except Rejected:
        return
    assert step(None, event, settings=SETTINGS).outcome == "folded"


def test_epoch_seconds_are_refused_with_a_hint_instead_of_believed() -> None:
    with pytest.raises(Rejected, match="milliseconds, not seconds") as refused:
        read(changed(time=1_748_772_000))
    assert (refused.value.code, refused.value.field) == ("out_of_range", "$.time")

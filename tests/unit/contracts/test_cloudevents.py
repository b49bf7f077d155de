"""CloudEvents 1.0 come out of their envelope; everything else passes untouched."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.cloudevents import event_type, unwrap
from stream.contracts.codec import decode_event, encode
from stream.contracts.emission import Rejected
from stream.contracts.events import Event

DATA = {"transaction_id": "555200", "currency": "GBP", "items": [{"item_id": "85123A", "price": 2.55, "quantity": 6}]}
PLAIN = {"event_id": "e-1", "type": "purchase", "time": "2011-06-01T09:12:00Z", "customer_id": "13085", **DATA}
STRUCTURED: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/shop/checkout",
    "type": "com.shop.purchase",
    "time": "2011-06-01T09:12:00Z",
    "subject": "13085",
    "datacontenttype": "application/json",
    "data": DATA,
}
BINARY = [
    ("content-type", b"application/json"),
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e-1"),
    ("ce_source", b"/shop/checkout"),
    ("ce_type", b"com.shop.purchase"),
    ("ce_time", b"2011-06-01T09:12:00Z"),
    ("ce_subject", b"13085"),
]
DECLARED = [("Content-Type", b"application/cloudevents+json; charset=UTF-8")]


def packed(value: Any) -> bytes:
    return json.dumps(value).encode()


def structured(**changes: Any) -> bytes:
    return packed({name: value for name, value in (STRUCTURED | changes).items() if value is not None})


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (structured(), []),
        (structured(), DECLARED),
        (structured(data=None, data_base64=base64.b64encode(packed(DATA)).decode()), []),
        (packed(DATA), BINARY),
    ],
    ids=["structured", "structured and declared", "base64", "binary"],
)
def test_each_form_is_the_same_event_as_the_plain_one(value: bytes, headers: list[tuple[str, bytes]]) -> None:
    assert decode_event(unwrap(value, headers)) == decode_event(packed(PLAIN))


@pytest.mark.parametrize(
    "value",
    [
        packed(PLAIN),
        packed(PLAIN | {"specversion": "1.0"}),
        packed(PLAIN | {"review": {"text": 'the "specversion" of it'}}),
        b'not json, "specversion"',
        b'{"specversion": 1}',
        b"\xff\xfe",
        b"",
    ],
)
def test_what_is_no_cloudevent_passes_as_it_is(value: bytes) -> None:
    assert unwrap(value) is value
    assert unwrap(value, [("content-type", b"application/json"), ("x", None)]) is value


@given(st.builds(Event, event_id=st.text(), type=st.just("review"), time=st.integers(), customer_id=st.text()))
def test_a_plain_event_passes_as_it_is(event: Event) -> None:
    value = encode(event)
    assert unwrap(value) is value


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("com.shop.purchase", "purchase"),
        ("io.tidemark.event.purchase.v1", "purchase"),
        ("io.tidemark.event.return.v12", "return"),
        ("purchase", "purchase"),
        ("", ""),
    ],
)
def test_the_type_is_the_last_word_without_its_version(attribute: str, expected: str) -> None:
    assert event_type(attribute) == expected


def test_the_data_wins_over_the_envelope() -> None:
    data = PLAIN | {"traceparent": "00-1"}
    value = structured(
        id="other", type="x.browse", time="1999-01-01T00:00:00Z", subject="9", traceparent="00-2", data=data
    )
    assert decode_event(unwrap(value)) == decode_event(packed(data))


def test_a_subject_does_not_name_an_anonymous_visitor() -> None:
    event = decode_event(unwrap(structured(data={"anonymous_id": "a-1"})))
    assert (event.customer_id, event.anonymous_id) == ("", "a-1")


def test_a_trace_goes_on() -> None:
    assert decode_event(unwrap(structured(traceparent="00-1"))).traceparent == "00-1"


def test_an_erasure_needs_no_data() -> None:
    for value, headers in ((structured(type="x.erase", data=None), []), (b"", [*BINARY, ("ce_type", b"x.erase")])):
        event = decode_event(unwrap(value, headers))
        assert (event.type, event.customer_id) == ("erase", "13085")


@pytest.mark.parametrize(
    ("value", "headers", "code", "field"),
    [
        (structured(specversion="0.3"), [], "wrong_shape", "$.specversion"),
        (packed(DATA), [("ce_specversion", b"0.3")], "wrong_shape", "$.specversion"),
        (packed(DATA), [("ce_specversion", b"1.0"), ("ce_id", b"\xff")], "wrong_shape", ""),
        (b"{", DECLARED, "wrong_shape", ""),
        (packed({"id": "1"}), DECLARED, "wrong_shape", ""),
        (structured(data=[1]), [], "not_json", "$.data"),
        (structured(data=None, data_base64="e30"), [], "wrong_shape", "$.data_base64"),
        (structured(data=None, data_base64="e3s="), [], "not_json", "$.data_base64"),
        (b"<purchase/>", BINARY, "not_json", "$"),
    ],
)
def test_a_broken_envelope_is_refused(value: bytes, headers: list[tuple[str, bytes]], code: str, field: str) -> None:
    with pytest.raises(Rejected) as refusal:
        unwrap(value, headers)
    assert (refusal.value.code, refusal.value.field) == (code, field)

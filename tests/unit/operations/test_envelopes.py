"""What a loader reads of an event, and the items that events name."""

import json

import pytest

from stream.operations.catalogue_items import CatalogueItems
from stream.operations.envelopes import read_envelope


def event(**fields: object) -> bytes:
    return json.dumps({"event_id": "e1", "type": "browse", "time": 5, "customer_id": "c1", **fields}).encode()


def test_the_key_is_the_customer_else_the_visitor() -> None:
    assert read_envelope(event()).key == b"c1"
    assert read_envelope(event(customer_id="", anonymous_id="v1")).key == b"v1"
    assert read_envelope(event(customer_id="Zoë")).key == "Zoë".encode()


@pytest.mark.parametrize("value", [b"no json", b"[]", event(customer_id=7), event(customer_id=""), b"\xff"])
def test_what_cannot_be_read_has_no_key(value: bytes) -> None:
    assert read_envelope(value).key is None


@pytest.mark.parametrize(
    ("time", "expected"),
    [(5, 5), ("1970-01-01T00:00:01Z", 1000), ("1970-01-01T00:00:01", None), (10**18, None), (None, None)],
)
def test_time_is_read_where_it_can_be(time: object, expected: int | None) -> None:
    assert read_envelope(event(time=time)).time_ms == expected


def test_a_cloudevent_is_read_through_its_envelope() -> None:
    cloud = json.dumps(
        {"specversion": "1.0", "id": "e1", "source": "shop", "type": "browse", "subject": "c1", "data": {"time": 5}}
    ).encode()
    envelope = read_envelope(cloud)
    assert (envelope.key, envelope.needs_id, envelope.time_ms) == (b"c1", False, 5)


def test_an_id_follows_from_the_content_alone() -> None:
    without = event(event_id="")
    envelope = read_envelope(without)
    assert envelope.needs_id
    first, second = (json.loads(envelope.rewritten(without, backfill=False)) for _ in range(2))
    assert first == second
    assert len(first["event_id"]) == 32
    other = event(event_id="", time=6)
    assert json.loads(read_envelope(other).rewritten(other, backfill=False))["event_id"] != first["event_id"]


def test_backfill_marks_the_event_and_keeps_its_id() -> None:
    rewritten = json.loads(read_envelope(event()).rewritten(event(), backfill=True))
    assert (rewritten["mode"], rewritten["event_id"]) == ("backfill", "e1")


def test_items_that_events_name_become_catalogue_items_once() -> None:
    items = CatalogueItems()
    named = {"item_id": "p2", "item_name": "MUG", "price": 2.5, "item_category": "Kitchen"}
    items.see(
        read_envelope(event(currency="GBP", items=[{"item_id": "p9"}, named, {"item_id": "p1", "item_name": "TIN"}]))
    )
    items.see(read_envelope(event(currency="GBP", items=[{**named, "item_name": "BLUE MUG"}])))
    first, second = items.take_new()
    assert (first.item_id, first.item_name, first.currency) == ("p1", "TIN", "")
    assert (second.item_name, second.price, second.currency, second.item_category) == (
        "BLUE MUG",
        2.5,
        "GBP",
        "Kitchen",
    )
    items.see(read_envelope(event(items=[named])))
    assert list(items.take_new()) == []


def nested(levels: int) -> bytes:
    return event(event_id="")[:-1] + b', "extra": ' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize("levels", [300, 5_000, 200_000])
def test_what_is_nested_too_deeply_goes_on_as_it_is(levels: int) -> None:
    value = nested(levels)
    assert read_envelope(value).rewritten(value, backfill=True) == value


@pytest.mark.parametrize("value", [b"no json", b"[]", b"\xff", b'{"specversion": "9", "data": 1}'])
def test_backfill_leaves_what_is_no_event_as_it_is(value: bytes) -> None:
    assert read_envelope(value).rewritten(value, backfill=True) == value


def test_an_event_without_a_customer_gets_its_id_all_the_same() -> None:
    value = event(event_id="", customer_id="")
    envelope = read_envelope(value)
    assert envelope.key is None
    assert json.loads(envelope.rewritten(value, backfill=False))["event_id"]

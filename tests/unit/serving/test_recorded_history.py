import gzip
from collections import Counter

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.history import (
    Outcome,
    UnreadableEvents,
    catalogue_items,
    file_sha256,
    journeys,
    outcome,
    read_events,
)
from stream.contracts.codec import encode
from stream.contracts.events import Event, Item
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, shop_events

SETTINGS = ProfileSettings(exchange_rates={"EUR": 0.5})
HORIZONS = (30, 60, 90)


def purchase(day: float, *items: str, price: float = 10.0, currency: str = "GBP") -> Event:
    lines = [Item(item, price=price, quantity=2.0) for item in items]
    return Event(f"e{day}", "purchase", START + int(day * DAY_MS), "c", currency=currency, items=lines)


def journey(*events: Event):
    return journeys(events, SETTINGS)["c"]


def test_events_are_the_same_from_every_format(tmp_path):
    events = shop_events(customers=3)
    lines = b"\n".join(map(encode, events)) + b"\n\n"
    (tmp_path / "a.jsonl").write_bytes(lines)
    with gzip.open(tmp_path / "b.jsonl.gz", "wb") as file:
        file.write(lines)
    rows = [msgspec.to_builtins(event) for event in events]
    columns = {name: [row.get(name) for row in rows] for name in sorted(set().union(*rows))}
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    for name in ("a.jsonl", "b.jsonl.gz", "c.parquet"):
        assert list(read_events([tmp_path / name], SETTINGS)) == events


def test_what_the_live_path_refuses_is_left_out_and_counted(tmp_path):
    good, bad = purchase(1, "a"), purchase(2, "a", price=-1.0)
    (tmp_path / "events.jsonl").write_bytes(encode(good) + b"\n" + encode(bad) + b"\n")
    refused: Counter[str] = Counter()
    assert [e.event_id for e in read_events([tmp_path / "events.jsonl"], SETTINGS, refused)] == [good.event_id]
    assert list(read_events([tmp_path / "events.jsonl"], SETTINGS)) != []
    assert refused == {"out_of_range": 1}


def test_a_file_of_something_else_is_named_with_its_line(tmp_path):
    (tmp_path / "other.jsonl").write_bytes(encode(purchase(1, "a")) + b'\n{"invoice": 7}\n')
    with pytest.raises(UnreadableEvents, match=r"other.jsonl, line 2: .*missing required field `type`"):
        list(read_events([tmp_path / "other.jsonl"], SETTINGS))


def test_the_hash_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert file_sha256(tmp_path / "f").startswith("ba7816bf8f01cfea")


def test_each_interval_is_told_once_it_is_over():
    bought_on_45 = journey(purchase(0, "a"), purchase(45, "a"))
    known_after = {days: outcome(bought_on_45, START, START + days * DAY_MS, HORIZONS).bought for days in (29, 59, 90)}
    assert known_after == {29: (-1, -1, -1), 59: (0, -1, -1), 90: (0, 1, 0)}


def test_a_purchase_at_the_moment_itself_is_past_and_one_at_the_horizon_is_inside():
    own = journey(purchase(0, "a"), purchase(30, "a"))
    assert outcome(own, START, START + 400 * DAY_MS, HORIZONS).bought == (1, 0, 0)
    assert outcome(own, START - 1, START + 400 * DAY_MS, HORIZONS).bought == (1, 0, 0)


def test_nothing_after_until_is_looked_at():
    own = journey(purchase(0, "a"), purchase(45, "b"))
    assert outcome(own, START, START + 44 * DAY_MS, HORIZONS) == Outcome((0, -1, -1), -1.0, ())


def test_revenue_is_gross_in_the_configured_currency_and_only_told_when_complete():
    own = journey(purchase(0, "a"), purchase(10, "a", "b"), purchase(20, "a", currency="EUR"), purchase(181, "a"))
    assert outcome(own, START, START + 400 * DAY_MS, HORIZONS).revenue == 40.0 + 10.0
    assert outcome(own, START, START + 179 * DAY_MS, HORIZONS).revenue == -1.0


def test_a_currency_without_a_rate_is_left_out():
    assert journeys([purchase(0, "a", currency="USD")], SETTINGS) == {}


def test_the_next_basket_is_the_first_day_that_has_one():
    own = journey(purchase(0, "a"), purchase(10.1, "b", "c"), purchase(10.9, "d"), purchase(11.1, "e"))
    assert outcome(own, START, START + 90 * DAY_MS, HORIZONS).basket == ("b", "c", "d")


def test_lines_without_a_price_are_no_purchase():
    free = Event("1", "purchase", START, "c", items=[Item("a", price=0.0)])
    assert journeys([free, Event("2", "browse", START, "c", items=[Item("a", price=1.0)])], SETTINGS) == {}


def test_a_customer_without_a_purchase_has_no_future():
    assert outcome(None, START, START + 400 * DAY_MS, HORIZONS) == Outcome((0, 0, 0), 0.0, ())


def test_the_catalogue_of_a_moment_knows_no_later_item():
    later = Event("9", "browse", START + 9 * DAY_MS, "c", items=[Item("z", "LATER")])
    named = Event("1", "purchase", START, "c", currency="GBP", items=[Item("a", "RED CUP", price=2.0)])
    unnamed = Event("2", "purchase", START + 1, "c", items=[Item("a")])
    (found,) = catalogue_items([named, unnamed, later], START + DAY_MS)
    assert (found.item_id, found.item_name, found.price) == ("a", "RED CUP", 2.0)
    assert {item.item_id for item in catalogue_items([named, later], START + 9 * DAY_MS)} == {"a", "z"}


def test_journeys_are_sorted():
    own = journey(purchase(5, "b"), purchase(1, "a"))
    assert np.all(np.diff(own.times) > 0)
    assert own.items == [("a",), ("b",)]


def test_an_event_without_an_id_gets_one_of_its_content(tmp_path):
    row = b'{"type":"browse","time":"2025-01-06T10:00:00Z","customer_id":"ada","items":[{"item_id":"tea"}]}'
    (tmp_path / "own.jsonl").write_bytes(row + b"\n" + row.replace(b"tea", b"mug") + b"\n" + row + b"\n")
    first, other, again = (event.event_id for event in read_events([tmp_path / "own.jsonl"], ProfileSettings()))
    assert first == again != other

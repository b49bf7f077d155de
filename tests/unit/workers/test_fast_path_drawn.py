"""The compiled path makes the same of any records as the long way: drawn, damaged, commits and roll-backs between."""

import json
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.contracts.times import DAY_MS, HOUR_MS, MINUTE_MS
from tests.unit.workers.ways import APPENDED, START, Way, message

pytestmark = pytest.mark.usefixtures("compiled")

TIMES = st.one_of(
    st.integers(0, 3 * 24 * 6).map(lambda part: START + part * 10 * MINUTE_MS),
    st.sampled_from(
        [
            START + 700 * DAY_MS,
            START - 700 * DAY_MS,
            APPENDED + HOUR_MS,
            1_298_000_000,
            1_298_000_000_000.0,
            "2011-03-13T07:06:40Z",
            "2011-03-13T07:06:40.5Z",
            "2011-03-13T07:06:40.123456Z",
            "2011-03-13T07:06:40.1234567Z",
            "2011-03-13T07:06:40.Z",
            "2011-03-13T07:06:40",
            "2011-03-13t07:06:40z",
            "2011-03-13T08:06:40+01:00",
            "2011-02-29T07:06:40Z",
            "2012-02-29T07:06:40Z",
            "2011-03-13T24:00:00Z",
            "2011-03-13T07:06:60Z",
            "2011-13-13T07:06:40Z",
            "1989-12-31T23:59:59Z",
            "2000-02-29T23:59:59.999Z",
            "20110313T070640Z",
            None,
        ]
    ),
)
ITEMS = st.fixed_dictionaries(
    {"item_id": st.sampled_from(["mug", "pot", "Tüte", "", "x" * 200, "a\\b", 'q"q'])},
    optional={
        "item_name": st.sampled_from(["Teekännchen", "line\nbreak", "a {brace} [and] more", "\ud83d\ude00"]),
        "item_category": st.sampled_from([f"category {number}" for number in range(14)]),
        "price": st.sampled_from([2.5, 0, 1e-9, 70_000, 1e7, -1, "2.5", None, 0.1 + 0.2]),
        "quantity": st.sampled_from([1, 2.5, 0, 1e-4, 65_519, 1e6, 2e6, None]),
        "colour": st.sampled_from(["blue", {"deep": [1]}]),
    },
)
EVENTS = st.fixed_dictionaries(
    {
        "event_id": st.one_of(
            st.integers(0, 400).map(lambda number: f"e-{number}"), st.sampled_from(["é", "", "y" * 129, 7, "a\tb"])
        ),
        "type": st.sampled_from(
            ["browse"] * 8 + ["purchase", "cart", "return", "review", "engagement", "erase", "stroll"]
        ),
        "time": TIMES,
    },
    optional={
        "customer_id": st.sampled_from(["ann", "bob", "cat", "žofie", ""]),
        "anonymous_id": st.sampled_from(["visitor"]),
        "session_id": st.sampled_from(["s-1", "z" * 129]),
        "transaction_id": st.sampled_from(["t-1", "t-2"]),
        "currency": st.sampled_from(["GBP", "", "USD", "XYZ"]),
        "items": st.lists(ITEMS, max_size=2),
        "action": st.sampled_from(["add", "remove", "set", "clear", "steal"]),
        "review": st.sampled_from([{"rating": 4}, {"rating": 7}, {}, 3]),
        "engagement": st.sampled_from([{"action": "opened"}, {"action": "burnt"}, {}, 3]),
        "channel": st.sampled_from(["web", 3]),
        "country": st.sampled_from(["GB", "Österreich"]),
        "simulated": st.sampled_from([True, False, "yes"]),
        "mode": st.sampled_from(["live", "live", "backfill", "test"]),
        "traceparent": st.sampled_from(["00-1-2-01", ""]),
        "unknown": st.sampled_from([1, "specversion"]),
    },
)

PLAIN_ITEMS = st.lists(
    st.fixed_dictionaries(
        {
            "item_id": st.sampled_from(["mug", "pot", "jug"]),
            "item_category": st.integers(0, 13).map(lambda number: f"category {number}"),
            "price": st.sampled_from([2.5, 0, 0.1 + 0.2]),
        },
        optional={"quantity": st.sampled_from([1, 2.5, 3, 70_000])},
    ),
    min_size=1,
    max_size=3,
)
CONTENT = st.one_of(
    st.fixed_dictionaries({"type": st.just("browse"), "items": PLAIN_ITEMS.map(lambda items: items[:1])}),
    st.fixed_dictionaries(
        {"type": st.just("cart"), "items": PLAIN_ITEMS, "action": st.sampled_from(["add", "remove", "set", "clear"])}
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["purchase", "purchase", "return"]), "items": PLAIN_ITEMS},
        optional={"transaction_id": st.integers(0, 9).map(lambda number: f"t-{number}")},
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("review"),
            "items": PLAIN_ITEMS.map(lambda items: items[:1]),
            "review": st.fixed_dictionaries({}, optional={"rating": st.sampled_from([1, 4.5, 6]), "text": st.text()}),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("engagement"),
            "review": st.sampled_from([{"rating": 4}, {"rating": 7}, {}, 3]),
            "engagement": st.fixed_dictionaries(
                {"action": st.sampled_from(["sent", "delivered", "opened", "clicked", "unsubscribed"])},
                optional={"channel": st.sampled_from(["email", 'a"b'])},
            ),
        }
    ),
)


@st.composite
def records(draw: st.DrawFn) -> tuple[bytes | None, bytes | None, Any]:
    event = draw(EVENTS)
    # Mostly plain, so that the two ways meet in the same customers.
    if draw(st.integers(0, 3)):
        event |= draw(CONTENT) | {
            "time": START + draw(st.integers(0, 72 * 6)) * 10 * MINUTE_MS,
            "event_id": f"p-{draw(st.integers(0, 400))}",
            "customer_id": draw(st.sampled_from(["ann", "bob"])),
        }
        if event["type"] == "engagement":
            event.pop("items", None)
        for name in ("engagement", "review"):
            if event["type"] != name and draw(st.integers(0, 9)):
                event.pop(name, None)
        for name in ("anonymous_id", "currency", "simulated", "mode", "channel", "unknown", "session_id"):
            if not draw(st.booleans()):
                event.pop(name, None)
    text = json.dumps(
        event,
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": ")])),
        indent=draw(st.sampled_from([None, None, None, 1])),
    )
    value = text.encode(errors="surrogatepass")
    damage = draw(st.integers(0, 30))
    at = draw(st.integers(0, len(value)))
    if damage == 0:
        value = value[:at]
    elif damage == 1:
        value = value[:at] + draw(st.binary(min_size=1, max_size=3)) + value[at:]
    elif damage == 2:
        value = value[:1] + b'"type":"browse",' + value[1:]
    elif damage == 3:
        value = b" " + value + b"\n "
    subject = event.get("customer_id") or event.get("anonymous_id") or ""
    key = draw(st.sampled_from([subject.encode()] * 15 + [b"ann", None]))
    headers = draw(st.sampled_from([None] * 15 + [[("tidemark-redriven", b"1")], [("x", b"y")]]))
    return key, draw(st.sampled_from([value] * 40 + [None])), headers


STEPS = st.lists(st.one_of(st.lists(records(), min_size=1, max_size=12), st.sampled_from(["commit", "abort"])))


@given(STEPS, st.sampled_from([900_000, 900_000, 700]))
@settings(max_examples=40, deadline=None)
def test_both_ways_make_the_same_of_any_records(steps: list[Any], most_bytes: int) -> None:
    fast, long = Way(True, most_bytes), Way(False, most_bytes)
    log: list[Message] = []
    for step in [*steps, "commit"]:
        if step == "commit":
            assert fast.commit() == long.commit()
        elif step == "abort":
            for way in (fast, long):
                way.partition.roll_back()
                way.feed(log[way.partition.next_offset :])
        else:
            new = [message(len(log) + number, *record) for number, record in enumerate(step)]
            log += new
            fast.feed(new)
            long.feed(new)
        assert fast.partition.next_offset == long.partition.next_offset == len(log)
        assert fast.partition.behind == long.partition.behind

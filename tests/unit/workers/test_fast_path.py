"""The compiled path takes plain events to the same bytes as the long way, and leaves whatever is not plain to it."""

import json
import shutil
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.contracts.codec import encode
from stream.contracts.emission import Rejected
from stream.contracts.partitioning import partition_for
from stream.contracts.times import DAY_MS, EPOCH, HOUR_MS, MINUTE_MS
from stream.contracts.topics import TopicNames
from stream.engine.holdings import Held, Holdings
from stream.engine.intake import Intake
from stream.engine.partition import Partition
from stream.engine.processor import OutputRecord, Record
from stream.engine.settings import EngineSettings
from stream.engine.stores.memory import MemoryStore
from stream.engine.worker import Worker
from stream.operations.simulate import CLICKSTREAM, Load, synthetic
from stream.profiles.settings import ProfileSettings
from stream.workers import profiles
from stream.workers.profiles import ProfilesProcessor

START = 1_298_000_000_000
SETTINGS = ProfileSettings(browse_every_n=3, ask_interval_ms=10 * MINUTE_MS, exchange_rates={"USD": 0.8})
APPENDED = START + 900 * DAY_MS


def bury(record: Record, refusal: Rejected) -> OutputRecord:
    return OutputRecord("dead", record.key, record.value, (("why", str(refusal).encode()),), -1)


class Way:
    """One partition that is fed by the intake, with the fast path or without."""

    def __init__(self, fast: bool, most_bytes: int = 900_000, partitions: int = 1) -> None:
        self.processor = ProfilesProcessor(TopicNames(), SETTINGS, partitions, "test")
        engine = EngineSettings()
        self.partition = Partition(0, self.processor, MemoryStore(), bury, most_bytes, 2, fast)
        self.partition.begin(None, 0)
        holdings: Holdings[Any, Any] = Holdings(self.processor.input_topic)
        self.held = holdings.held[0] = Held(self.partition, engine)
        self.intake = Intake(None, self.processor, holdings, engine, None, None)  # type: ignore[arg-type]
        self.taken = 0
        self._holdings, self._settings = holdings, engine

    def feed(self, messages: list[Message]) -> None:
        if self.partition.fast_path is not None:
            before = len(self.partition._window)
            self.intake.accept(messages)
            self.taken += sum(isinstance(one, Message) for one in self.partition._window[before:])
        else:
            self.intake.accept(messages)
        while self.held.pending:
            Worker._fold(self, self.held, 1 << 60)  # type: ignore[arg-type]

    def commit(self) -> tuple[Any, ...]:
        changes, position = self.partition.changes()
        outputs = list(self.partition.context.outputs)
        self.partition.committed(changes, position, 1)
        return changes, position, outputs, self.partition.tally, self.partition.timers.next_due()


def message(
    offset: int, key: bytes | None, value: bytes | None, headers: Any = None, appended: int = APPENDED
) -> Message:
    return Message(
        topic="customer.events.v1",
        partition=0,
        offset=offset,
        key=key,
        value=value,
        headers=headers,
        timestamp=(2, appended),
    )


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    if Way(fast=True).partition.fast_path is None:
        if shutil.which("cc") or shutil.which("gcc") or shutil.which("clang"):
            pytest.fail(f"there is a compiler, and no fast path ({profiles._OTHER_FOLD}): run `make setup`")
        pytest.skip("no compiler: there is no fast path to test")


OTHER_BUILDS = {
    "another fold": "from stream.profiles import fold; fold.FOLD_VERSION += 1",
    "a field more": "from stream.profiles import profile as p; p.Profile = type('Profile', (p.Profile,), {'more': 0, "
    "'__annotations__': {'more': int}})",
}


@pytest.mark.parametrize("build", OTHER_BUILDS)
def test_a_fold_that_is_not_the_one_that_was_compiled_is_left_to_python(build: str) -> None:
    look = "from stream.workers import profiles; print(profiles.BrowsePath, profiles._OTHER_FOLD)"
    found = subprocess.run([sys.executable, "-c", f"{OTHER_BUILDS[build]}\n{look}"], capture_output=True, text=True)
    assert found.stdout.startswith("None compiled for fold version 1"), found


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
        "type": st.sampled_from(["browse"] * 12 + ["purchase", "cart", "engagement", "erase", "stroll"]),
        "time": TIMES,
    },
    optional={
        "customer_id": st.sampled_from(["ann", "bob", "cat", "žofie", ""]),
        "anonymous_id": st.sampled_from(["visitor"]),
        "session_id": st.sampled_from(["s-1", "z" * 129]),
        "transaction_id": st.sampled_from(["t-1", "t-2"]),
        "currency": st.sampled_from(["GBP", "", "USD", "XYZ"]),
        "items": st.lists(ITEMS, max_size=2),
        "action": st.just("add"),
        "channel": st.sampled_from(["web", 3]),
        "country": st.sampled_from(["GB", "Österreich"]),
        "simulated": st.sampled_from([True, False, "yes"]),
        "mode": st.sampled_from(["live", "live", "backfill", "test"]),
        "traceparent": st.sampled_from(["00-1-2-01", ""]),
        "unknown": st.sampled_from([1, "specversion"]),
    },
)


@st.composite
def records(draw: st.DrawFn) -> tuple[bytes | None, bytes | None, Any]:
    event = draw(EVENTS)
    # Mostly plain, so that the two ways meet in the same customers.
    if draw(st.integers(0, 3)):
        event |= {
            "type": "browse",
            "time": START + draw(st.integers(0, 72 * 6)) * 10 * MINUTE_MS,
            "event_id": f"p-{draw(st.integers(0, 400))}",
            "customer_id": draw(st.sampled_from(["ann", "bob"])),
            "items": [
                {
                    "item_id": draw(st.sampled_from(["mug", "pot", "jug"])),
                    "item_category": f"category {draw(st.integers(0, 13))}",
                    "price": 2.5,
                }
            ],
        }
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


HEAD = '{"event_id":"e-%d","type":"browse","time":1298000000000,"customer_id":"ann",'
LINE = '{"item_id":"mug","item_category":"k","price":2.5}'
PLAIN = HEAD + '"items":[' + LINE + '],"currency":"GBP","simulated":false,"mode":"live","channel":"web"}'
CHANGES = {
    "leading zero": ('"time":1', '"time":01'),
    "seconds": ('"time":1298000000000', '"time":1298000000'),
    "float": ('"time":1298000000000', '"time":1.298e12'),
    "another era": ('"time":1298000000000', f'"time":{START + 700 * DAY_MS}'),
    "long before": ('"time":1298000000000', f'"time":{START - 4 * DAY_MS}'),
    "a day before": ('"time":1298000000000', f'"time":{START - DAY_MS}'),
    "31 April": ('"time":1298000000000', '"time":"2011-04-31T00:00:00Z"'),
    "leap day": ('"time":1298000000000', '"time":"2012-02-29T00:00:00Z"'),
    "no leap day": ('"time":1298000000000', '"time":"2011-02-29T00:00:00Z"'),
    "microseconds": ('"time":1298000000000', '"time":"2011-03-13T08:00:00.999999Z"'),
    "tenths": ('"time":1298000000000', '"time":"2011-03-13T08:00:00.9Z"'),
    "offset": ('"time":1298000000000', '"time":"2011-03-13T08:00:00+02:00"'),
    "second 60": ('"time":1298000000000', '"time":"2011-03-13T08:00:60Z"'),
    "backfill": ('"mode":"live"', '"mode":"backfill"'),
    "unknown mode": ('"mode":"live"', '"mode":"lively"'),
    "twice the type": ('"type":"browse"', '"type":"cart","type":"browse"'),
    "twice the time": ('"time":12', '"time":1200000000000,"time":12'),
    "escape": ('"channel":"web"', '"channel":"w\\u0065b"'),
    "broken escape": ('"channel":"web"', '"channel":"w\\xb"'),
    "control character": ('"channel":"web"', '"channel":"w\tb"'),
    "number for text": ('"channel":"web"', '"channel":3'),
    "foreign text": ('"channel":"web"', '"channel":"Läden"'),
    "unknown field": ('"channel":"web"', '"shop":"web"'),
    "null": ('"channel":"web"', '"channel":null'),
    "visitor": ('"channel"', '"anonymous_id":"v","channel"'),
    "visitor alone": ('"customer_id"', '"anonymous_id"'),
    "other currency": ('"GBP"', '"USD"'),
    "unknown currency": ('"GBP"', '"XYZ"'),
    "simulated": ("false", "true"),
    "word for truth": ("false", "yes"),
    "half a word": ("false", "fals"),
    "no items": (LINE, ""),
    "two items": (LINE, LINE + "," + LINE),
    "free": ("2.5", "0"),
    "below zero": ("2.5", "-1"),
    "dear": ("2.5", "1000001"),
    "too much in sum": ("2.5}", '999999,"quantity":999999}'),
    "price as text": ("2.5", '"2.5"'),
    "broken number": ("2.5", "2.5.5"),
    "nothing of it": ("2.5", '2.5,"quantity":0'),
    "more than a half float": ("2.5", '70000,"quantity":70000'),
    "deep item": ('"item_category":"k"', '"deep":{"a":[1]}'),
    "broken item": ('"item_category":"k"', '"item_category"'),
    "item without id": ('"mug"', '""'),
    "long item": ('"mug"', '"' + "m" * 129 + '"'),
    "long id": ('"e-', '"' + "e" * 129),
    "foreign id": ('"e-', '"é-'),
    "empty id": ('"e-%d"', '""'),
    "other customer": ('"ann"', '"bob"'),
    "trailing comma": ('"web"}', '"web",}'),
    "more behind": ('"web"}', '"web"}}'),
    "space behind": ('"web"}', '"web"} \n'),
    "not closed": ('"web"}', '"web"'),
    "cart": ('"browse"', '"cart","action":"add"'),
    "traced": ('"channel"', '"traceparent":"00-a-b-01","channel"'),
    "long session": ('"channel"', '"session_id":"' + "s" * 129 + '","channel"'),
    "envelope": ('"channel"', '"specversion":"1.0","channel"'),
}


@pytest.mark.parametrize("name", CHANGES)
def test_both_ways_make_the_same_of_an_event_that_is_nearly_plain(name: str) -> None:
    changed = PLAIN.replace(*CHANGES[name], 1)
    assert changed != PLAIN
    # Views before and behind it, more than make a question, and one event twice.
    texts = [PLAIN % number if "%d" in PLAIN else PLAIN for number in (1, 2, 3, 4, 4)]
    texts += [changed % number if "%d" in changed else changed for number in (5, 6, 6)]
    texts += [PLAIN % number for number in range(7, 30)]
    log = [message(number, b"ann", text.encode()) for number, text in enumerate(texts)]
    fast, long = Way(True), Way(False)
    fast.feed(log)
    long.feed(log)
    assert fast.commit() == long.commit()
    assert fast.taken >= 4


def test_a_visitor_who_becomes_a_customer_is_one_on_both_ways() -> None:
    visit = (PLAIN % 0).replace('"customer_id"', '"anonymous_id"')
    log = [message(number, b"ann", text.encode()) for number, text in enumerate([visit, PLAIN % 1, PLAIN % 2])]
    fast, long = Way(True), Way(False)
    fast.feed(log)
    long.feed(log)
    assert fast.commit() == long.commit()
    assert fast.taken == 1


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_view_is_too_late_on_both_ways(beyond: int) -> None:
    newest = START + SETTINGS.allowed_lateness_ms + beyond
    # Nothing of it is in the ring of interactions, where an older row would show.
    opened: dict[str, Any] = {"event_id": "m", "type": "engagement", "time": newest, "customer_id": "ann"}
    opened["engagement"] = {"action": "opened"}
    log = [message(0, b"ann", json.dumps(opened).encode()), message(1, b"ann", (PLAIN % 1).encode())]
    fast, long = Way(True), Way(False)
    fast.feed(log)
    long.feed(log)
    assert sum(output.topic == "dead" for output in long.partition.context.outputs) == beyond
    assert fast.commit() == long.commit()


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_time_is_ahead_of_the_broker_s_on_both_ways(beyond: int) -> None:
    appended = START - SETTINGS.future_tolerance_ms - beyond
    log = [message(number, b"ann", (PLAIN % number).encode(), appended=appended) for number in range(3)]
    fast, long = Way(True), Way(False)
    fast.feed(log)
    long.feed(log)
    assert fast.commit() == long.commit()
    assert fast.taken == (0 if beyond else 3)


@pytest.mark.parametrize("value", [b"\xff", b"a\xc3", b"\xed\xa0\x80", "ü".encode()])
def test_text_that_is_not_utf_8_is_refused_on_both_ways(value: bytes) -> None:
    log = [message(0, b"ann", (PLAIN % 1).encode().replace(b"web", value))]
    fast, long = Way(True), Way(False)
    fast.feed(log)
    long.feed(log)
    assert fast.commit() == long.commit()


def test_both_ways_make_the_same_of_a_long_history_with_purchases_between() -> None:
    texts = []
    for number in range(900):
        time = START + number * 7 * MINUTE_MS - (HOUR_MS if number % 11 == 0 else 0)
        event: dict[str, Any] = {"event_id": f"e-{number}", "type": "browse", "time": time, "customer_id": "ann"}
        event["items"] = [{"item_id": f"i-{number % 40}", "item_category": f"k-{number * 7 % 31}", "price": 1.5}]
        if number % 13 == 0:
            event |= {"type": "purchase", "transaction_id": f"t-{number}"}
        texts.append(json.dumps(event).encode())
    log = [message(number, b"ann", text) for number, text in enumerate(texts)]
    fast, long = Way(True), Way(False)
    for at in range(0, len(log), 100):
        fast.feed(log[at : at + 100])
        long.feed(log[at : at + 100])
        assert fast.commit() == long.commit()
    assert fast.taken > 400


def test_nearly_all_page_views_are_plain() -> None:
    load = Load(
        customers=200,
        events=6_000,
        seed=3,
        start=EPOCH + timedelta(milliseconds=START),
        span=timedelta(days=20),
        most_lines=1,
        mix=CLICKSTREAM,
    )
    partitions = 3
    fast, long = Way(True, partitions=partitions), Way(False, partitions=partitions)
    views, log = 0, []
    for event in synthetic(load):
        if partition_for(event.customer_id.encode(), partitions) == 0:
            log.append(message(len(log), event.customer_id.encode(), encode(event)))
            views += event.type == "browse"
    for at in range(0, len(log), 500):
        fast.feed(log[at : at + 500])
        long.feed(log[at : at + 500])
        assert fast.commit() == long.commit()
    assert fast.processor.counters() == long.processor.counters()
    assert fast.taken > 0.85 * views


def test_a_record_on_another_partition_than_its_key_s_is_not_plain() -> None:
    key = next(f"c{number}".encode() for number in range(50) if partition_for(f"c{number}".encode(), 7) != 0)
    value = json.dumps(
        {"event_id": "e", "type": "browse", "time": START, "customer_id": key.decode(), "items": [{"item_id": "mug"}]}
    ).encode()
    way = Way(True, partitions=7)
    way.feed([message(0, key, value)])
    assert [output.headers[0][1][:15] for output in way.partition.context.outputs] == [b"wrong_partition"]

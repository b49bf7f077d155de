"""The compiled path takes plain views to the same bytes as the long way, and leaves whatever is not plain to it."""

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from stream.contracts.codec import encode
from stream.contracts.partitioning import partition_for
from stream.contracts.times import DAY_MS, EPOCH, HOUR_MS, MINUTE_MS
from stream.contracts.topics import TopicNames
from stream.operations.simulate import CLICKSTREAM, Load, synthetic
from stream.workers.profiles import ProfilesProcessor
from tests.unit.workers.ways import SETTINGS, START, Way, message

pytestmark = pytest.mark.usefixtures("compiled")

OTHER_BUILDS = {
    "another fold": "from stream.profiles import fold; fold.FOLD_VERSION += 1",
    "a field more": "from stream.profiles import profile as p; p.Profile = type('Profile', (p.Profile,), {'more': 0, "
    "'__annotations__': {'more': int}})",
}

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


@pytest.mark.parametrize("build", OTHER_BUILDS)
def test_a_fold_that_is_not_the_one_that_was_compiled_is_left_to_python(build: str) -> None:
    look = "from stream.workers import profiles; print(profiles.PlainPath, profiles._OTHER_FOLD)"
    found = subprocess.run([sys.executable, "-c", f"{OTHER_BUILDS[build]}\n{look}"], capture_output=True, text=True)
    assert found.stdout.startswith("None compiled for fold version 1"), found


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


def test_a_processor_with_a_fold_of_its_own_is_not_passed_by() -> None:
    class Own(ProfilesProcessor):
        def fold(self, state: Any, parsed: Any, answer: Any, context: Any) -> Any:
            return super().fold(state, parsed, answer, context)

    assert ProfilesProcessor(TopicNames(), SETTINGS, 1, "test").plain is not None
    assert Own(TopicNames(), SETTINGS, 1, "test").plain is None

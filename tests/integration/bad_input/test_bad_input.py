"""The table "Bad input" of the design, row by row, through a real broker and the profiles worker: what is bad becomes a
dead letter that says why and where, the stream goes on, and the customer's next good event is folded."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import pytest
import structlog

from stream.contracts.dead_letters import VALUE_LIMIT
from stream.contracts.headers import REDRIVEN, TICK
from stream.contracts.partitioning import partition_for
from stream.contracts.times import to_rfc3339
from stream.embedded.kafka import EmbeddedKafka
from stream.testing.topics import Topics
from stream.workers.process import VERSION
from tests.integration.bad_input.shop import (
    CORRUPT,
    PARTITIONS,
    Letter,
    Place,
    Sent,
    Shop,
    encoded,
    event,
    knows,
    milliseconds,
)

HOUR_S = 3_600.0


class Case(NamedTuple):
    """A bad record of a customer.

    Attributes:
        sent: the record, or the fields of a purchase that make it bad.
        before: good events that come first.
    """

    row: str
    code: str
    sent: Sent | dict[str, Any]
    field: str = ""
    before: Sequence[dict[str, Any]] = ()

    @property
    def customer(self) -> str:
        return self.row.replace(" ", "-").replace(",", "")

    def records(self) -> list[Sent]:
        sent = self.sent if isinstance(self.sent, Sent) else good(self.customer, "bad", **self.sent)
        if sent.key == b"customer":
            sent = sent._replace(key=self.customer.encode())
        before = [good(self.customer, f"before-{number}", **fields) for number, fields in enumerate(self.before)]
        return [*before, sent, good(self.customer, "good")]


def good(customer: str, name: str, **fields: Any) -> Sent:
    return Sent(customer.encode(), encoded(event(customer, name, **fields)))


def items(**fields: Any) -> dict[str, Any]:
    return {"items": [{"item_id": "85123A", "price": 2.55, "quantity": 6} | fields]}


raw = partial(Sent, b"customer")
LARGE = encoded(event("over-1-MiB", "bad", channel="x" * (1_200 * 1024)))
OWN = (b"header of the sender", b"as it came")

CASES = [
    Case("not JSON", "not_json", raw(b'{"event_id": "1", "type": ', [(OWN[0].decode(), OWN[1])])),
    Case("not UTF-8", "not_json", raw(b"\xff\xfe\x00")),
    Case("no bytes", "not_json", raw(b"")),
    Case("a null", "not_json", raw(None)),
    Case("NaN", "not_json", raw(encoded(event("NaN", "bad", **items(price=float("nan")))))),
    Case("infinity", "not_json", raw(encoded(event("infinity", "bad", **items(price=float("inf")))))),
    Case("a list", "wrong_shape", raw(b"[]"), "$"),
    Case("a text for a price", "wrong_shape", items(price="cheap"), "$.items[0].price"),
    Case("a number for an id", "wrong_shape", {"event_id": 7}, "$.event_id"),
    Case("a broken CloudEvent", "wrong_shape", raw(b"{}", [("content-type", b"application/cloudevents+json")])),
    Case("an unknown event type", "unknown_type", {"type": "teleport"}, "$.type"),
    Case("no id", "missing_field", {"event_id": None}, "$.event_id"),
    Case("an empty id", "missing_field", {"event_id": ""}, "$.event_id"),
    Case("no time", "missing_field", {"time": None}, "$.time"),
    Case("no type", "missing_field", {"type": None}, "$.type"),
    Case("no customer", "missing_field", {"customer_id": None}, "$.customer_id"),
    Case("no items", "missing_field", {"items": []}, "$.items"),
    Case("no price", "missing_field", items(price=None), "$.items[0].price"),
    Case("over 1 MiB", "too_large", raw(LARGE)),
    Case("too late", "too_late", {"time": milliseconds(80 * HOUR_S)}, "$.time", before=[{}]),
    Case("in the future", "in_future", {"time": milliseconds(-HOUR_S)}, "$.time"),
    Case("a negative price", "out_of_range", items(price=-1), "$.items[0].price"),
    Case("an absurd price", "out_of_range", items(price=1e12), "$.items[0].price"),
    Case("no quantity at all", "out_of_range", items(quantity=0), "$.items[0].quantity"),
    Case("a negative quantity", "out_of_range", items(quantity=-3), "$.items[0].quantity"),
    Case("an absurd quantity", "out_of_range", items(quantity=1e9), "$.items[0].quantity"),
    Case("an absurd rating", "out_of_range", {"type": "review", "review": {"rating": 11}}, "$.review.rating"),
    Case("an absurd time", "out_of_range", {"time": -1}, "$.time"),
    Case("seconds for milliseconds", "out_of_range", {"time": milliseconds() // 1_000}, "$.time"),
    Case("an absurd id", "out_of_range", {"event_id": "x" * 1_000}, "$.event_id"),
    Case("a currency without a rate", "unknown_currency", {"currency": "XXX"}, "$.currency"),
    Case("another key", "wrong_key", Sent(b"somebody-else", encoded(event("another-key", "bad")))),
    Case("no key", "wrong_key", Sent(None, encoded(event("no-key", "bad")))),
    Case(
        "another partition",
        "wrong_partition",
        Sent(
            b"another-partition",
            encoded(event("another-partition", "bad")),
            partition=1 - partition_for(b"another-partition", PARTITIONS),
        ),
    ),
    Case(
        "a tick without a header",
        "forged_tick",
        Sent(None, encoded({"event_id": "t", "type": "tick", "time": milliseconds()})),
        "$.type",
    ),
    Case(
        "a tick with a key",
        "forged_tick",
        raw(encoded({"event_id": "t", "type": "tick", "time": milliseconds()}), [(TICK, VERSION.encode())]),
        "$.type",
    ),
    Case("an exception in fold", "fold_error", {"session_id": "planted failure"}, before=[{}]),
    Case("an exception in the first fold", "fold_error", {"session_id": "planted failure"}),
    Case("an output over the limit", "too_large", {"session_id": "planted output"}, before=[{}]),
]
BY_ROW = {case.row: case for case in CASES}
UNREADABLE = "a-state-that-cannot-be-read"


class Seen(NamedTuple):
    """What was sent, and what came of it."""

    sent: dict[str, list[Sent]]
    places: dict[str, list[Place]]
    letters: dict[Place, list[Letter]]
    states: dict[bytes, bytes]
    positions: dict[int, Any]
    duplicates: float


@pytest.fixture(scope="module")
def seen(embedded_kafka: EmbeddedKafka) -> Iterator[Seen]:
    """All cases through one worker."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with Topics(embedded_kafka.bootstrap_servers, label="bad-input") as own:
        shop = Shop(embedded_kafka.bootstrap_servers, own.prefix)
        shop.corrupt([UNREADABLE])
        records = {case.row: case.records() for case in CASES} | OTHERS
        places = {row: shop.send(*sent) for row, sent in records.items()}
        shop.start()
        ends: dict[int, int] = {}
        for place in (place for row in places.values() for place in row):
            ends[place.partition] = max(ends.get(place.partition, 0), place.offset + 1)
        shop.folded(ends)
        letters, (states, positions) = shop.letters(), shop.states()
        yield Seen(records, places, letters, states, positions, shop.processor.counters()["duplicates"])
        shop.stop()
    structlog.reset_defaults()


OTHERS = {
    "unknown extra fields": [
        good("extra", "good", loyalty={"tier": [1, 2]}, items=[{"item_id": "1", "price": 1.0, "colour": "red"}])
    ],
    "a duplicate": [good("twice", "first"), good("twice", "first"), good("twice", "second"), good("twice", "first")],
    "late within the lateness": [good("late", "first"), good("late", "late", time=milliseconds(70 * HOUR_S))],
    "too late, but put back": [
        good("put-back", "first"),
        good("put-back", "late", time=milliseconds(80 * HOUR_S))._replace(headers=[(REDRIVEN, b"1")]),
    ],
    "slightly ahead": [good("ahead", "good", time=to_rfc3339(milliseconds(-60)))],
    "unreadable": [good(UNREADABLE, "first"), good("readable", "good"), good(UNREADABLE, "second")],
}


def _origin(seen: Seen, case: Case) -> Place:
    return seen.places[case.row][len(case.before)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_a_bad_record_becomes_a_dead_letter_and_the_stream_goes_on(seen: Seen, case: Case) -> None:
    (letter,) = seen.letters[_origin(seen, case)]
    sent = seen.sent[case.row][len(case.before)]
    assert (letter.verdict.code, letter.verdict.field) == (case.code, case.field)
    assert letter.verdict.message
    assert letter.verdict.attempt == 1
    assert letter.verdict.worker_version == VERSION
    assert letter.verdict.headers == tuple(sent.headers)
    assert letter.key == sent.key
    if case.row != "over 1 MiB":
        assert letter.value == sent.value
        assert letter.verdict.original_length is None
    folded = [f"{case.customer}-before-{number}" for number in range(len(case.before))] + [f"{case.customer}-good"]
    assert knows(seen.states[case.customer.encode()], *folded)


def test_what_is_cut_comes_with_its_length_and_its_hash(seen: Seen) -> None:
    case = BY_ROW["over 1 MiB"]
    (letter,) = seen.letters[_origin(seen, case)]
    assert len(letter.value or b"") + len(letter.key or b"") == VALUE_LIMIT
    assert LARGE.startswith(letter.value or b"-")
    assert letter.verdict.original_length == len(LARGE)
    assert letter.verdict.original_sha256 == hashlib.sha256(LARGE).hexdigest()


def test_nothing_but_what_is_bad_is_refused(seen: Seen) -> None:
    bad = {_origin(seen, case) for case in CASES}
    bad |= {seen.places["unreadable"][0], seen.places["unreadable"][2]}
    assert set(seen.letters) == bad
    assert all(len(letters) == 1 for letters in seen.letters.values())


def test_time_does_not_move_with_what_lies_in_the_future(seen: Seen) -> None:
    assert all(position.time < milliseconds(-5 * 60) for position in seen.positions.values())


def test_unknown_extra_fields_are_ignored(seen: Seen) -> None:
    assert knows(seen.states[b"extra"], "extra-good")


def test_a_duplicate_is_ignored_and_counted(seen: Seen) -> None:
    assert knows(seen.states[b"twice"], "twice-first", "twice-second")
    assert seen.duplicates == 2


def test_a_late_event_is_folded_within_the_allowed_lateness(seen: Seen) -> None:
    assert knows(seen.states[b"late"], "late-first", "late-late")


def test_a_dead_letter_that_is_put_back_is_not_too_late(seen: Seen) -> None:
    assert knows(seen.states[b"put-back"], "put-back-first", "put-back-late")


def test_a_producer_whose_clock_is_a_minute_fast_is_believed(seen: Seen) -> None:
    assert knows(seen.states[b"ahead"], "ahead-good")


def test_a_customer_whose_state_cannot_be_read_is_quarantined_and_the_others_go_on(seen: Seen) -> None:
    for index in (0, 2):
        (letter,) = seen.letters[seen.places["unreadable"][index]]
        assert letter.verdict.code == "quarantined"
        assert letter.value == seen.sent["unreadable"][index].value
    assert seen.states[UNREADABLE.encode()] == CORRUPT, "kept for whoever repairs it"
    assert knows(seen.states[b"readable"], "readable-good")

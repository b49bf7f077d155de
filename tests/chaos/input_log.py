"""The known input log: simulated events, and among them everything that a real log has and a simulation lacks.

Out of order within the lateness and beyond it, duplicates, erasures, consent, anonymous visitors, histories, clocks
that are hours off, days without events, leaps, and bytes that are no event. A function of the seed alone, but for the
last events, which happen now so that ticks are written.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from stream.contracts.codec import encode
from stream.contracts.events import Consent, Event, Item
from stream.contracts.partitioning import partition_for
from stream.contracts.times import DAY_MS, HOUR_MS, SECOND_MS, to_epoch_ms
from stream.operations.simulate import Load, synthetic

_OUT_OF_ORDER: Final = 0.1
_LATE_AT_MOST_MS: Final = 60 * HOUR_MS
_TOO_LATE: Final = 0.003
_TWICE: Final = 0.02
_TWICE_WITHIN_MS: Final = 6 * HOUR_MS
_BAD: Final = 0.005
"""Far below the share at which a partition pauses, whatever stretch of the log the guard looks at."""
_CONSENT: Final = 0.004
_ERASED: Final = 0.002
_ANONYMOUS: Final = 0.02
_HISTORY: Final = 0.01
PARTITIONS: Final = 4
_NOW: Final = 0.02
"""Share of events at the end of the log that happen now."""
_WRONG_CLOCKS: Final = 40
"""One customer in so many is behind a producer whose clock is hours off."""
_OFF_MS: Final = 5 * HOUR_MS
_CHAPTER: Final = 5_000
_CHAPTER_DAYS: Final = 10
_FIRST_DAY: Final = datetime(2020, 1, 1, tzinfo=UTC)
_GAPS: Final = (timedelta(0), timedelta(days=1), timedelta(days=2), timedelta(days=45))
"""Between two chapters: none, a day or two without events, a leap."""


class Written(NamedTuple):
    """A record to be written. ``partition`` -1 lets the key decide."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = -1


def input_log(
    events: int, seed: int, customers: int, days: int = 40, start: datetime = Load._field_defaults["start"]
) -> list[Written]:
    """About ``events`` records in the order in which they are to be written.

    Args:
        days: of event time, before the leap to now.
        start: of event time.
    """
    draw = Random(f"input log:{seed}")
    past = Load(
        customers=customers,
        events=round(events * (1 - _NOW - _TWICE)),
        seed=seed,
        start=start,
        span=timedelta(days=days),
    )
    arrivals: list[tuple[int, int, Written]] = []
    for event in synthetic(past):
        for arrival, record in _as_it_comes(event, draw):
            arrivals.append((arrival, len(arrivals), record))
    arrivals.sort()
    return [record for _, _, record in arrivals]


def chapters(seed: int, customers: int) -> Iterator[Written]:
    """A log without an end, from 2020 on: chapters of ten days, some with days without an event between them."""
    draw, start = Random(f"chapters:{seed}"), _FIRST_DAY
    for number in count():
        # Another seed for each, or they would have the same ids.
        own = (seed + 1) * 1_000_000 + number
        yield from input_log(_CHAPTER, own, customers, _CHAPTER_DAYS, start)
        start += timedelta(days=_CHAPTER_DAYS) + draw.choice(_GAPS)


def events_of_now(events: int, seed: int, customers: int) -> Iterator[Written]:
    """The end of the log, to be written when it is called for: events that happen at this moment."""
    draw = Random(f"now:{seed}")
    for event in synthetic(Load(customers=customers, events=round(events * _NOW), seed=-seed - 1)):
        event.time = int(time.time() * 1000) - draw.randrange(SECOND_MS)
        yield _written(event)


def _as_it_comes(event: Event, draw: Random) -> Iterator[tuple[int, Written]]:
    """The event with what becomes of it on its way, each with the time at which it arrives."""
    arrival = to_epoch_ms(event.time)
    event = _varied(event, draw)
    off = crc32(event.subject.encode()) % (2 * _WRONG_CLOCKS)
    if off < 2:
        event.time = arrival + (_OFF_MS if off else -_OFF_MS)
    fate = draw.random()
    if fate < _TOO_LATE:
        arrival += draw.randrange(4 * DAY_MS, 9 * DAY_MS)
    elif fate < _TOO_LATE + _OUT_OF_ORDER:
        arrival += draw.randrange(_LATE_AT_MOST_MS)
    record = _written(event)
    yield arrival, record
    if draw.random() < _TWICE:
        yield arrival + draw.randrange(_TWICE_WITHIN_MS), record
    if draw.random() < _BAD:
        yield arrival, _bad(event, draw)


def _varied(event: Event, draw: Random) -> Event:
    fate = draw.random()
    if fate < _CONSENT:
        choice = draw.choice(["granted", "denied"])
        which = draw.choice(["personalization", "marketing"])
        event.type, event.items, event.action = "consent", [], None
        event.review, event.engagement = None, None
        event.consent = msgspec.convert({which: choice}, Consent)
    elif fate < _CONSENT + _ERASED:
        event.type, event.items, event.action = "erase", [], None
        event.review, event.engagement = None, None
    elif fate < _CONSENT + _ERASED + _ANONYMOUS and event.type == "browse":
        event.anonymous_id, event.customer_id = f"visitor-{event.customer_id}", ""
    elif fate < _CONSENT + _ERASED + _ANONYMOUS + _HISTORY:
        event.mode = "backfill"
    return event


def _written(event: Event) -> Written:
    return Written(event.subject.encode(), encode(event))


def _bad(event: Event, draw: Random) -> Written:
    """A record that has to become a dead letter."""
    key, value = _written(event)[:2]
    assert value is not None
    other = msgspec.structs.replace(event, event_id=f"bad-{event.event_id}")
    match draw.randrange(9):
        case 0:
            return Written(key, value[: len(value) // 2])
        case 1:
            return Written(key, draw.randbytes(40))
        case 2:
            return Written(b"somebody else", value)
        case 3:
            return Written(key, value.replace(b'"type":"', b'"type":"un'))
        case 4:
            return Written(key, encode(msgspec.structs.replace(other, time=int(time.time() * 1000) + DAY_MS)))
        case 5:
            return Written(key, None)
        case 6:
            return Written(None, encode(Event(event_id="forged", type="tick", time=to_epoch_ms(event.time))))
        case 7:
            elsewhere = (partition_for(key or b"", PARTITIONS) + 1) % PARTITIONS
            return Written(key, encode(other), partition=elsewhere)
        case _:
            return Written(key, encode(msgspec.structs.replace(other, currency="XXX", items=[Item("p", price=1.0)])))

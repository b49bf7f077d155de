"""What the demo sends: the shipped sample of real orders, simulated visits around them, and a few events that are
wrong on purpose.

It makes values and writes nothing to Kafka; `demo.py` does, and compares what comes out with what is said here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from importlib import resources
from typing import Final, NamedTuple

import msgspec

from stream.contracts.codec import decode_event, encode
from stream.contracts.emission import DeadLetterCode
from stream.contracts.events import Event, Item
from stream.contracts.times import DAY_MS, HOUR_MS, MINUTE_MS, to_epoch_ms
from stream.operations.files import open_for_reading
from stream.operations.simulate import around

SEED: Final = 20_111
LIVE_DAYS: Final = 90
"""The end of the history is sent at the pace of a busy shop instead of at full speed, so that latency can be seen."""
DUPLICATES: Final = 25


class BadRecord(NamedTuple):
    """A record that must become a dead letter."""

    code: DeadLetterCode
    key: bytes | None
    value: bytes


class DemoEvents(NamedTuple):
    """Everything that is sent, in order."""

    history: list[Event]
    """At full speed."""
    live: list[Event]
    """The last ``LIVE_DAYS``, paced."""
    duplicates: list[Event]
    """Of the history's end, once more."""
    bad: list[BadRecord]

    @property
    def records(self) -> int:
        """Records on the events topic when all are sent."""
        return len(self.history) + len(self.live) + len(self.duplicates) + len(self.bad)

    def by_type(self) -> Counter[str]:
        """Distinct good events by what a profile counts them as; newsletters by what was done with them."""
        return Counter(
            event.engagement.action if event.engagement is not None else event.type
            for event in (*self.history, *self.live)
        )


def sample() -> Iterator[Event]:
    """The real orders and returns of the demo's customers, in order of time."""
    with resources.as_file(resources.files("stream.operations") / "sample" / "online_retail_ii.jsonl.xz") as path:
        for line in open_for_reading(path):
            yield decode_event(line)


def demo_events(now: int) -> DemoEvents:
    """The same events every time, but for one that lies an hour ahead of ``now`` (epoch milliseconds)."""
    events = list(around(sample(), SEED))
    last_real = max(to_epoch_ms(event.time) for event in events if not event.simulated)
    # What is simulated behind the end of the data would be all that happens there.
    events = [event for event in events if to_epoch_ms(event.time) <= last_real]
    live_from = last_real - LIVE_DAYS * DAY_MS
    history = [event for event in events if to_epoch_ms(event.time) < live_from]
    live = events[len(history) :]
    return DemoEvents(history, live, history[-DUPLICATES:], bad_records(history[-1], now))


def bad_records(like: Event, now: int) -> list[BadRecord]:
    """One record for each way in which producers go wrong most often.

    Args:
        like: a good event, whose customer and time they take.
        now: epoch milliseconds; one event pretends to be from an hour later.
    """
    key = like.customer_id.encode()
    at = to_epoch_ms(like.time) + MINUTE_MS
    count = iter(range(1, 100))

    def event(**fields: object) -> bytes:
        good = Event(
            event_id=f"bad-{next(count)}",
            type="purchase",
            time=at,
            customer_id=like.customer_id,
            transaction_id="bad",
            currency="GBP",
            items=[Item(item_id="22423", item_name="REGENCY CAKESTAND 3 TIER", price=12.75, quantity=1)],
            simulated=True,
        )
        return encode({**msgspec.to_builtins(good), **fields})

    line = {"item_id": "22423", "price": 12.75, "quantity": 1}
    return [
        BadRecord("not_json", key, event()[:-7]),
        BadRecord("wrong_shape", key, event(items="22423")),
        BadRecord("unknown_type", key, event(type="checkout")),
        BadRecord("missing_field", key, event(items=[])),
        BadRecord("out_of_range", key, event(items=[{**line, "price": -12.75}])),
        BadRecord("out_of_range", key, event(items=[{**line, "quantity": 0}])),
        BadRecord("unknown_currency", key, event(currency="XTS")),
        BadRecord("in_future", key, event(time=now + HOUR_MS)),
        BadRecord("wrong_key", b"somebody else", event()),
        BadRecord("forged_tick", key, encode({"event_id": "bad-tick", "type": "tick", "time": at})),
        BadRecord("too_late", key, event(time=at - timedelta(days=30) // timedelta(milliseconds=1))),
    ]

"""Microseconds of CPU that a live event costs the profiles role on one core: decode the event, fold, encode the state.

No Kafka: the throughput of the whole worker is measured elsewhere. The mix is a shop's (mostly browsing, a tenth
purchases of one to four items) over customers whose profiles are about 1 KiB; the first half of the events only warms
them up. The fold alone is then measured for each kind of event, on profiles as that leaves them: short stretches, each
the best of some, which other work on the machine disturbs least. Run: ``python -m benchmarks.profiles_micro``.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable

from stream.contracts.codec import encode as encode_event
from stream.contracts.emission import Origin
from stream.contracts.events import Event, EventType, Item, Review
from stream.profiles import codec
from stream.profiles.fold import fold
from stream.profiles.settings import ProfileSettings
from stream.profiles.validation import event_time, read_event

START = 1_300_000_000_000
SETTINGS = ProfileSettings()
APPENDED = START + 10**12
STRETCH = 40
"""Events timed at once."""
BEST_OF = 9
TYPES: tuple[EventType, ...] = ("browse", "cart", "purchase", "review")


def item(draw: random.Random) -> Item:
    number = draw.randrange(3000)
    return Item(
        item_id=f"{10000 + number}",
        item_category=f"category {number % 20}",
        price=round(draw.uniform(0.5, 20), 2),
        quantity=float(draw.randrange(1, 12)),
    )


def event(draw: random.Random, number: int, customers: int) -> Event:
    kind = draw.choices(TYPES, (70, 17, 10, 3))[0]
    return Event(
        event_id=f"{draw.getrandbits(64):016x}",
        type=kind,
        time=START + number * 400 + draw.randrange(60_000),
        customer_id=f"customer-{draw.randrange(customers)}",
        transaction_id=f"order-{number}" if kind == "purchase" else "",
        items=[item(draw) for _ in range(draw.randrange(1, 5) if kind == "purchase" else 1)],
        action="add" if kind == "cart" else None,
        review=Review(rating=float(draw.randrange(1, 6)), text="as described") if kind == "review" else None,
        currency="GBP",
        session_id=f"session-{number % 5000}",
        channel="web",
        country="GB",
    )


def timed(work: Callable[[], None], count: int) -> float:
    """Microseconds for one of ``count``."""
    started = time.process_time()
    work()
    return (time.process_time() - started) / count * 1e6


def undisturbed(events: list[Event], states: dict[str, bytes]) -> float:
    """Microseconds that folding one of ``events`` into its customer's state takes, decoding not counted."""
    origin = Origin("events", 0, 0)
    total = 0.0
    for at in range(0, len(events), STRETCH):
        part = [one for one in events[at : at + STRETCH] if one.customer_id in states]
        best = float("inf")
        for _ in range(BEST_OF):
            profiles = [(codec.decode(states[one.customer_id]), one, event_time(one)) for one in part]
            started = time.perf_counter()
            for profile, one, moment in profiles:
                fold(profile, one, moment, origin, SETTINGS)
            best = min(best, time.perf_counter() - started)
        total += best
    return total / len(events) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--customers", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    made = [event(draw, number, arguments.customers) for number in range(arguments.events)]
    records = [(encode_event(one), one.customer_id.encode()) for one in made]
    half = len(made) // 2
    states: dict[str, bytes] = {}
    asked = 0

    def read() -> None:
        for value, key in records[half:]:
            read_event(value, key, (), APPENDED, SETTINGS)

    def all_of(part: list[tuple[bytes, bytes]]) -> None:
        nonlocal asked
        for offset, (value, key) in enumerate(part):
            parsed = read_event(value, key, (), APPENDED, SETTINGS)
            state = states.get(parsed.customer_id)
            profile = None if state is None else codec.decode(state)
            folded = fold(profile, parsed, event_time(parsed), Origin("events", 0, offset), SETTINGS)
            asked += folded.request is not None
            if folded.profile is not None:
                states[parsed.customer_id] = codec.encode(folded.profile)

    def codecs() -> None:
        for state in states.values():
            codec.encode(codec.decode(state))

    all_of(records[:half])
    asked = 0
    together = timed(lambda: all_of(records[half:]), half)
    reading = timed(read, half)
    coding = timed(codecs, len(states))
    sizes = sorted(map(len, states.values()))
    print(f"read and validate   {reading:6.2f} us/event")
    print(f"state decode+encode {coding:6.2f} us/event")
    print(f"fold and requests   {together - reading - coding:6.2f} us/event ({asked / half:.1%} of the events asked)")
    print(f"together            {together:6.2f} us/event, {1e6 / together:,.0f} events/s on one core")
    print(f"state               {statistics.median(sizes):,.0f} bytes median, {sizes[-1]:,} largest")
    after = [event(draw, len(made) + number, arguments.customers) for number in range(4_000)]
    for kind in TYPES:
        for lines in (1, 2, 4) if kind == "purchase" else (1,):
            some = [one for one in after if one.type == kind and len(one.items) == lines]
            print(f"fold a {kind:<8} of {lines} {undisturbed(some, states):6.2f} us")


if __name__ == "__main__":
    main()

"""Faults of the input itself: too much, all of one customer, nothing at all, twice, and bytes that nobody can read.

What is wrong in the log all the time (late, out of order, clocks that are off, leaps) is ``input_log.py``'s.
"""

import time
from typing import Final

import msgspec

from stream.contracts.codec import decode_event, encode
from stream.contracts.events import Event
from tests.chaos.input_log import Written
from tests.chaos.kinds.fault import Fault, Scene
from tests.chaos.poison import poison

_TIMES: Final = 10
_LATER_S: Final = 8.0
_CAUGHT_UP_S: Final = 300.0
_FEW: Final = 500
"""Lag that is no lag at ten times the rate."""
_HOT: Final = 3_000
_SILENT_S: Final = 5.0
_AGAIN: Final = 300
_POISON: Final = 10
"""Far below the share of dead letters at which a partition pauses."""


class Flood(Fault):
    """The first one of a long run lasts a minute, the others are short."""

    name = "flood"
    what = "ten times the rate, until the lag is gone again; in an hour's run the first time for a minute"

    def __init__(self) -> None:
        self._before = 0

    def possible(self, scene: Scene) -> bool:
        return scene.flood_s > 0

    def strike(self, scene: Scene) -> str:
        feed, watch = scene.feed, scene.watch
        seconds = _LATER_S if self._before else scene.flood_s
        self._before += 1
        pace, before = feed.pace, feed.writer.written
        began = time.monotonic()
        feed.pace = pace * _TIMES
        time.sleep(seconds)
        feed.pace = pace
        most, over = watch.lag, time.monotonic()
        while watch.lag > _FEW:
            assert time.monotonic() < over + _CAUGHT_UP_S, f"a lag of {watch.lag} does not shrink"
            time.sleep(0.1)
        written = feed.writer.written - before
        caught_up_s = time.monotonic() - over
        memory = watch.growth_mib(began)
        return (
            f"{written:,} events in {seconds:.0f} s, lag {most:,}, gone after {caught_up_s:.1f} s, "
            f"memory of a worker at most {memory:+.0f} MiB"
        )


class HotKey(Fault):
    name = "hot key"
    what = "3,000 visits of one customer at once"

    def strike(self, scene: Scene) -> str:
        pattern = next(event for record in reversed(scene.feed.latest(_AGAIN)) if (event := _visit(record)) is not None)
        number = scene.feed.writer.written
        visits = (msgspec.structs.replace(pattern, event_id=f"hot-{number}-{count}") for count in range(_HOT))
        scene.feed.put_in([Written(pattern.customer_id.encode(), encode(visit)) for visit in visits])
        return pattern.customer_id


class Silence(Fault):
    name = "silence"
    what = "no events for five seconds"

    def strike(self, scene: Scene) -> str:
        pace, scene.feed.pace = scene.feed.pace, 0.0
        time.sleep(_SILENT_S)
        scene.feed.pace = pace
        return f"{_SILENT_S:.0f} s"


class TwiceAcrossRestart(Fault):
    name = "twice across a restart"
    what = "the last events are written a second time while a worker of profiles is restarted"

    def strike(self, scene: Scene) -> str:
        member = scene.draw.choice(scene.crew.of("profiles"))
        member.await_ready()
        with scene.gone(member):
            scene.feed.put_in(scene.feed.latest(_AGAIN))
        return f"{_AGAIN} events, {member.instance}"


class Poison(Fault):
    name = "poison"
    what = "bytes that are no event: random, cut, nested, huge, of wrong shapes, in wrong encodings"

    def strike(self, scene: Scene) -> str:
        records = [poison(scene.draw) for _ in range(_POISON)]
        scene.feed.put_in(records)
        return f"{len(records)} records, {sum(len(record.value or b'') for record in records):,} bytes"


def _visit(record: Written) -> Event | None:
    """The event in a record, if it is a customer's visit."""
    try:
        event = decode_event(record.value or b"")
    except msgspec.DecodeError:
        return None
    return event if event.type == "browse" and event.customer_id and event.mode == "live" else None


KINDS: Final[tuple[Fault, ...]] = (Flood(), HotKey(), Silence(), TwiceAcrossRestart(), Poison())

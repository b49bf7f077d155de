"""Which events of a window may be learned from, and when a window must not be learned from at all.

Whoever can write events can try to teach the next model. These bounds leave out what no shop sees, and refuse a window
in which too much of it lies. How much one customer may weigh among what is left is bounded in the fit itself
(``serving.training.weights``). Called by ``stream.operations.retrain``; it reads no files and no topics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
import numpy as np

from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.profiles.settings import ProfileSettings

MAD_TO_DEVIATION: Final = 1.4826
"""Of a normal distribution: its standard deviation over its median absolute deviation."""

_LEAST_DEVIATION: Final = 0.5
"""Of the log of an order's amount. A shop with a single price has none, and an order of double size is no attack."""

_FEW: Final = 30
"""Orders or customers below which a share says nothing."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults: nothing in the 19 months of Online Retail II is beyond them."""

    newest_days: int = 30
    """Shares are those of the newest part of the window, of so many days: what is new has to be judged alone."""
    refused_share: float = 0.05
    """Of the newest events, that are dead letters: beyond it upstream is broken, and what is left is a choice."""
    absurd_share: float = 0.002
    """Of the newest orders and returns, that are left out as absurd: a few are mistakes, many are an attack."""
    amount_deviations: float = 8.0
    """Robust standard deviations of the log of an amount from its median (6.9 at most in Online Retail II)."""
    orders_a_day: int = 50
    """Of one customer; the rest of the day is left out (24 at most in Online Retail II)."""
    first_timers_share: float = 0.5
    """Of the customers who ordered in the newest part, that never ordered before (.17 at most in Online Retail II)."""


class WindowRefused(ValueError):
    """The window must not be learned from; the message says which bound it broke."""


class Window(NamedTuple):
    """What a window held."""

    events: list[Event]
    """Those that may be learned from, in the order given."""
    refused: int
    """Events that are dead letters on the live path."""
    absurd: dict[str, int]
    """Left out, by what is absurd in them."""


def checked(read: Iterable[Event | None], settings: ProfileSettings, bounds: Bounds) -> Window:
    """What may be learned from a window.

    Args:
        read: events as read, in any order of customers; None stands for one that was refused, and is taken to be of
            the time of the one before it.

    Raises:
        WindowRefused: too much of the newest part is refused, absurd, or of customers who never ordered before.
    """
    events: list[Event] = []
    refused_at: list[int] = []
    time = 0
    for event in read:
        if event is None:
            refused_at.append(time)
        else:
            time = to_epoch_ms(event.time)
            events.append(event)
    if not events:
        return Window([], len(refused_at), {})
    newest = max(to_epoch_ms(event.time) for event in events) - bounds.newest_days * DAY_MS
    new_events = sum(to_epoch_ms(event.time) > newest for event in events)
    new_refused = sum(moment == 0 or moment > newest for moment in refused_at)
    _refuse("events", new_refused, new_refused + new_events, bounds.refused_share, "are dead letters", bounds)

    why = _absurd(events, settings, bounds)
    trades = [event for event in events if event.type in ("purchase", "return")]
    new_trades = sum(to_epoch_ms(event.time) > newest for event in trades)
    new_absurd = sum(to_epoch_ms(events[place].time) > newest for place in why)
    _refuse("orders and returns", new_absurd, new_trades, bounds.absurd_share, "are absurd", bounds, of_few=True)
    kept = [event for place, event in enumerate(events) if place not in why]
    _first_timers(kept, newest, bounds)
    return Window(kept, len(refused_at), dict(Counter(why.values())))


def _refuse(what: str, found: int, of: int, bound: float, are: str, bounds: Bounds, of_few: bool = False) -> None:
    # A single mistake is no attack, however few there are to compare it with.
    if found > max(bound * of, 1 if of_few else 0) and (of_few or of >= _FEW):
        raise WindowRefused(
            f"{found:,} of {of:,} {what} of the newest {bounds.newest_days} days {are}, {bound:.1%} may be: nothing "
            "was trained; look at them (`tidemark tail dead-letters`, or the events file), and end the window before "
            "them with --until"
        )


def _absurd(events: list[Event], settings: ProfileSettings, bounds: Bounds) -> dict[int, str]:
    """Places of events that are left out, and why."""
    amounts = {
        place: amount
        for place, event in enumerate(events)
        if event.type in ("purchase", "return") and (amount := _amount(event, settings)) > 0
    }
    found: dict[int, str] = {}
    if amounts:
        log = np.log(np.fromiter(amounts.values(), np.float64, len(amounts)))
        middle = float(np.median(log))
        deviation = max(MAD_TO_DEVIATION * float(np.median(np.abs(log - middle))), _LEAST_DEVIATION)
        largest = np.exp(middle + bounds.amount_deviations * deviation)
        found = {place: "amount" for place, amount in amounts.items() if amount > largest}
    a_day: Counter[tuple[str, int]] = Counter()
    for place, event in enumerate(events):
        if event.type == "purchase" and event.customer_id:
            day = (event.customer_id, to_epoch_ms(event.time) // DAY_MS)
            a_day[day] += 1
            if a_day[day] > bounds.orders_a_day:
                found.setdefault(place, "orders a day")
    return found


def _amount(event: Event, settings: ProfileSettings) -> float:
    rate = settings.rate(event.currency) or 1.0
    return rate * sum(
        abs((line.price or 0.0) * (1.0 if line.quantity is None else line.quantity)) for line in event.items
    )


def _first_timers(events: list[Event], newest: int, bounds: Bounds) -> None:
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for event in events:
        if event.type == "purchase" and event.customer_id:
            time = to_epoch_ms(event.time)
            first[event.customer_id] = min(first.get(event.customer_id, time), time)
            last[event.customer_id] = max(last.get(event.customer_id, time), time)
    ordered = [customer for customer, time in last.items() if time > newest]
    new = sum(first[customer] > newest for customer in ordered)
    # A shop in its first weeks has no others, and too little history to train on besides.
    if len(ordered) >= _FEW and new > bounds.first_timers_share * len(ordered):
        raise WindowRefused(
            f"{new:,} of the {len(ordered):,} customers who ordered in the newest {bounds.newest_days} days never "
            f"ordered before, {bounds.first_timers_share:.0%} may be: nothing was trained; if they are real, say so "
            "with --first-timers-share"
        )

"""What became of a customer in the window after the first raise: orders, revenue, and whether a message arrived.

Amounts and lines are those of the profile's fold (``stream.profiles.lines``), and so are the rules for duplicates and
for what comes too late. It reads no topic: `reading.py` hands it events.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from stream.contracts.events import Event
from stream.contracts.ids import event_id_hash
from stream.operations.campaigns.cohort import Unit
from stream.profiles import bound, packing
from stream.profiles.lines import CENTS, Line, lines
from stream.profiles.settings import ProfileSettings

_ID_SIZE = bound.EVENT_ID_SIZE
_IDS_SIZE = bound.EVENT_IDS * _ID_SIZE


class Outcome(msgspec.Struct, frozen=True):
    """Of one customer in one window."""

    orders: int
    """Orders that were not returned in full."""
    revenue: float
    """Purchases less what was returned of them, in the configured currency."""
    reached: bool
    """An event of type ``engagement`` names one of the customer's alerts."""


class _Trade(NamedTuple):
    time: int
    order: str
    """Id of the order; empty for a return that names none."""
    lines: list[Line]


class CustomerLog:
    """What a customer did, as far as windows ask for it.

    Args:
        settings: rates and allowed lateness.
        units: the customer's, in all draws; what lies in no window of theirs is not kept.
    """

    def __init__(self, settings: ProfileSettings, units: Iterable[Unit]) -> None:
        self._settings = settings
        self._units = list(units)
        self._event_ids = b""
        self._newest = 0
        self._purchases: list[_Trade] = []
        self._returns: list[_Trade] = []
        self._reached: list[tuple[int, str]] = []

    def take(self, event: Event, time: int, redriven: bool) -> None:
        """The next event of the customer's in the log.

        Args:
            time: its time, epoch milliseconds.
            redriven: it comes back from the dead letters, so it is not refused for being late.
        """
        key = event_id_hash(event.event_id).to_bytes(_ID_SIZE, "little")
        if packing.place(self._event_ids, key, _ID_SIZE) >= 0:
            return
        late = time < self._newest - self._settings.allowed_lateness_ms
        if late and event.mode != "backfill" and not redriven:
            return
        self._event_ids = (self._event_ids + key)[-_IDS_SIZE:]
        self._newest = max(self._newest, time)
        if event.simulated or event.mode not in ("live", "backfill"):
            return
        if not any(unit.raised_at <= time <= unit.ends_at for unit in self._units):
            return
        if event.type == "purchase":
            order = event.transaction_id or f"event {event.event_id}"
            self._purchases.append(_Trade(time, order, lines(event, self._settings)))
        elif event.type == "return":
            self._returns.append(_Trade(time, event.transaction_id, lines(event, self._settings)))
        elif event.type == "engagement" and event.attribution is not None and event.attribution.alert_id:
            self._reached.append((time, event.attribution.alert_id))

    def outcome(self, unit: Unit) -> Outcome:
        """What lies in the window of ``unit``, one of this customer's."""
        basket = _Orders()
        for trade in sorted(self._purchases, key=lambda trade: trade.time):
            if unit.raised_at < trade.time <= unit.ends_at:
                basket.buy(trade)
        for trade in sorted(self._returns, key=lambda trade: trade.time):
            if unit.raised_at < trade.time <= unit.ends_at:
                basket.give_back(trade)
        reached = any(
            alert_id in unit.alert_ids and unit.raised_at <= time <= unit.ends_at for time, alert_id in self._reached
        )
        return Outcome(basket.count(), basket.cents() / CENTS, reached)


class _Bought(msgspec.Struct):
    time: int
    units: int
    cents: int


class _Orders:
    """The orders of one window, which a return can undo: what was bought before the window is no outcome of it, and so
    its return is none either."""

    def __init__(self) -> None:
        self._orders: dict[str, dict[int, _Bought]] = {}

    def buy(self, trade: _Trade) -> None:
        order = self._orders.setdefault(trade.order, {})
        for line in trade.lines:
            known = order.setdefault(line.item, _Bought(trade.time, 0, 0))
            known.units += line.units
            known.cents += line.cents or 0

    def give_back(self, trade: _Trade) -> None:
        if not trade.order:
            for line in trade.lines:
                self._undo(self._newest(line.item, trade.time), line)
            return
        order = self._orders.get(trade.order, {})
        if not trade.lines:
            order.clear()
        for line in trade.lines:
            self._undo(order.get(line.item), line)

    def _newest(self, item: int, until: int) -> _Bought | None:
        """The newest purchase of an item that something is left of."""
        kept = [order[item] for order in self._orders.values() if item in order]
        return max(
            (each for each in kept if each.units > 0 and each.time <= until), key=lambda each: each.time, default=None
        )

    def _undo(self, bought: _Bought | None, line: Line) -> None:
        if bought is None or bought.units <= 0:
            return
        # Without a price of its own, what was paid for as many.
        units = min(line.units, bought.units)
        cents = round(bought.cents * units / bought.units) if line.cents is None else line.cents
        bought.units -= units
        bought.cents -= min(cents, bought.cents)

    def count(self) -> int:
        return sum(any(bought.units > 0 for bought in order.values()) for order in self._orders.values())

    def cents(self) -> int:
        return sum(bought.cents for order in self._orders.values() for bought in order.values())

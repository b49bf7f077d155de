"""How often a customer bought each item: the decayed count of purchase lines, half-life 90 days.

Lines still in the ring of interactions are counted from there; the table here holds the lines that have left it, at
most 128 items of them, so an ordinary customer needs no table at all. Rows enter the ring here, because what falls out
of it is counted here. Called by the fold, ``purchases`` and ``returns``.
"""

from struct import Struct
from typing import Final, NamedTuple

from stream.contracts.times import DAY_MS
from stream.profiles import decay, interactions, packing
from stream.profiles.profile import Profile

CAPACITY: Final = 128
ROW: Final = Struct("<QdH")
"""Item hash, decayed count relative to the landmark, day of the last purchase since 1970."""

_SIZE: Final = ROW.size
_INTERACTION_SIZE: Final = interactions.ROW.size
_FULL_RING: Final = interactions.CAPACITY * _INTERACTION_SIZE
_KEY: Final = Struct("<Q")
_HALF_LIFE: Final = decay.HALF_LIVES[decay.QUARTER]
_NOTHING: Final = 1e-12
"""A count below this share of one line is rounding."""


class TopItem(NamedTuple):
    """An item that the customer bought and did not return."""

    item_hash: int
    decayed_count: float
    """Purchase lines, each halved every 90 days."""
    last_time: int
    """Epoch milliseconds of the last purchase: to the second while it is in the ring, then to the day."""


def top_items(profile: Profile, at: int) -> list[TopItem]:
    """The at most 128 items bought most by decayed count at ``at`` (not before ``last_time``), strongest first."""
    counts: dict[int, float] = {}
    last: dict[int, int] = {}
    for item, count, day in ROW.iter_unpack(profile.items):
        counts[item] = count
        last[item] = day * DAY_MS
    origin = decay.landmark(profile.last_time)
    for seconds, code, item, _, _, _ in interactions.ROW.iter_unpack(profile.interactions):
        if code == interactions.PURCHASE:
            counts[item] = counts.get(item, 0.0) + 2.0 ** ((seconds * 1000 - origin) / _HALF_LIFE)
            last[item] = max(last.get(item, 0), seconds * 1000)
    fade = 2.0 ** ((origin - at) / _HALF_LIFE)
    ranked = sorted(counts, key=lambda item: (-counts[item], item))
    return [TopItem(item, counts[item] * fade, last[item]) for item in ranked[:CAPACITY]]


def interact(profile: Profile, rows: list[bytes]) -> None:
    """Puts at least one row into the ring of interactions. The list is used up."""
    ring = profile.interactions = interactions.put(profile.interactions, rows)
    if len(ring) > _FULL_RING:
        settle(profile, interactions.CAPACITY)


def settle(profile: Profile, capacity: int) -> None:
    """Takes the oldest interactions out of their ring until ``capacity`` are left, and counts the purchases of them."""
    ring = profile.interactions
    surplus = len(ring) - capacity * _INTERACTION_SIZE
    profile.interactions = ring[surplus:]
    table = profile.items
    for at in range(0, surplus, _INTERACTION_SIZE):
        if ring[at + interactions.TYPE_AT] == interactions.PURCHASE:
            seconds, _, item, _, _, _ = interactions.ROW.unpack_from(ring, at)
            table = _added(table, item, seconds * 1000, profile.last_time)
    profile.items = strongest(table, CAPACITY) if len(table) > CAPACITY * _SIZE else table


def take_back(table: bytes, item: int, time: int, last_time: int) -> bytes:
    """The table with one line of ``item`` at ``time`` taken back; as it is where it holds none.

    The day of the last purchase stays: the purchase before it is no longer known.
    """
    at = packing.place(table, _KEY.pack(item), _SIZE)
    if at < 0:
        return table
    _, kept, day = ROW.unpack_from(table, at)
    line = decay.weight(time, last_time, _HALF_LIFE)
    rest = ROW.pack(item, kept - line, day) if kept - line > _NOTHING * line else b""
    return table[:at] + rest + table[at + _SIZE :]


def last_bought(table: bytes, item: int) -> int:
    """Day, in epoch milliseconds, of the last purchase of ``item`` that the table holds; 0: it holds none."""
    at = packing.place(table, _KEY.pack(item), _SIZE)
    return int(ROW.unpack_from(table, at)[2]) * DAY_MS if at >= 0 else 0


def strongest(table: bytes, capacity: int) -> bytes:
    """The ``capacity`` items with the highest counts, in the table's own order."""
    weakest_first = sorted(ROW.iter_unpack(table), key=lambda entry: (entry[1], entry[0]))
    dropped = {item for item, _, _ in weakest_first[: max(0, len(weakest_first) - capacity)]}
    return b"".join(ROW.pack(*entry) for entry in ROW.iter_unpack(table) if entry[0] not in dropped)


def moved(table: bytes, eras: int) -> bytes:
    """The table relative to a landmark that lies ``eras`` later."""
    return b"".join(
        ROW.pack(item, decay.moved_value(kept, eras, _HALF_LIFE), day) for item, kept, day in ROW.iter_unpack(table)
    )


def _added(table: bytes, item: int, time: int, last_time: int) -> bytes:
    line = decay.weight(time, last_time, _HALF_LIFE)
    at = packing.place(table, _KEY.pack(item), _SIZE)
    if at < 0:
        return table + ROW.pack(item, line, time // DAY_MS)
    _, kept, day = ROW.unpack_from(table, at)
    return table[:at] + ROW.pack(item, kept + line, max(day, time // DAY_MS)) + table[at + _SIZE :]

"""Which categories a customer leans to: decayed weights of the strongest 12, half-life 90 days.

A category is known by the 32-bit hash of the name that came with the event's items; browsing, carting and buying weigh
differently. Written by the fold; a line returned in full takes its weight back.
"""

from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from stream.contracts.ids import item_hash
from stream.profiles import decay, packing
from stream.profiles.profile import Profile

CAPACITY: Final = 12
ROW: Final = Struct("<Id")
"""Category hash, decayed weight relative to the landmark."""

BROWSED: Final = 1.0
CARTED: Final = 2.0
BOUGHT: Final = 4.0
"""A purchase tells more than a look. The ratios are a convention, not a fit; what they are worth the model learns."""

HALF_LIFE: Final = decay.HALF_LIVES[decay.QUARTER]
NOTHING: Final = 1e-12
"""What is left of a weight, relative to what was taken back, and is rounding."""

_SIZE: Final = ROW.size
_TABLE: Final = Struct("<" + "Id" * CAPACITY)
"""All rows of a full table."""
_KEY: Final = Struct("<I")
_WEIGHT: Final = Struct("<d")
_WEIGHT_AT: Final = _KEY.size


class Affinity(NamedTuple):
    """How much a customer leans to a category."""

    category_hash: int
    weight: float


@lru_cache(maxsize=1 << 14)
def category_hash(name: str) -> int:
    """Unsigned 32-bit hash of a category's name; never 0, which means none."""
    return item_hash(name) & 0xFFFFFFFF or 1


def affinities(profile: Profile, at: int) -> list[Affinity]:
    """The strongest categories at ``at`` (not before ``last_time``), strongest first."""
    fade = decay.faded(1.0, at, profile.last_time, HALF_LIFE)
    rows = sorted(ROW.iter_unpack(profile.categories), key=lambda entry: (-entry[1], entry[0]))
    return [Affinity(category, weight * fade) for category, weight in rows]


def added(table: bytes, category: int, part: float) -> bytes:
    """The table with ``part`` added to a category, or taken back if negative.

    ``part`` is one of the amounts above, times its ``decay.weight`` for ``HALF_LIFE``. A thirteenth category takes the
    place of the weakest, if it is stronger.
    """
    key = _KEY.pack(category)
    at = table.find(key)
    if at % _SIZE:  # Not at the border of a row: nowhere, or across two.
        at = packing.place(table, key, _SIZE)
        if at < 0:
            return _entered(table, category, part) if part > 0 else table
    total = _WEIGHT.unpack_from(table, at + _WEIGHT_AT)[0] + part
    kept = key + _WEIGHT.pack(total) if total > NOTHING * abs(part) else b""
    return table[:at] + kept + table[at + _SIZE :]


def strongest(table: bytes, capacity: int) -> bytes:
    """The ``capacity`` categories with the highest weights."""
    rows = sorted(ROW.iter_unpack(table), key=lambda entry: (-entry[1], entry[0]))
    return b"".join(ROW.pack(*entry) for entry in rows[:capacity])


def moved(table: bytes, eras: int) -> bytes:
    """The table relative to a landmark that lies ``eras`` later."""
    return b"".join(
        ROW.pack(category, decay.moved_value(kept, eras, HALF_LIFE)) for category, kept in ROW.iter_unpack(table)
    )


def _entered(table: bytes, category: int, part: float) -> bytes:
    row = ROW.pack(category, part)
    if len(table) < _TABLE.size:
        return table + row
    weights = _TABLE.unpack(table)[1::2]
    weakest = min(weights)
    if part <= weakest:
        return table
    at = weights.index(weakest) * _SIZE
    return table[:at] + row + table[at + _SIZE :]

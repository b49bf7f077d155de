"""A profile for people: every field by its name, times as RFC 3339, tables row by row, what is decayed as of its newest
event.

It also says in which fields two profiles differ. Pure; called by `verifying.py`, `states.py` and the explanation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from stream.contracts.times import DAY_MS, to_rfc3339
from stream.profiles import baskets, categories, decay, items, rings
from stream.profiles.asking import noted
from stream.profiles.bound import EVENT_ID_SIZE
from stream.profiles.profile import Profile

Value = Any
"""What JSON can say."""

NameOf = Callable[[int], str]
"""Name of an item by its 64-bit hash."""

_CENTS: Final = 100.0
_MILLI: Final = 1_000.0
_DIGITS: Final = 9
"""Of decayed values: what lies below is rounding."""


def by_hash(item: int) -> str:
    """An item that no catalogue is asked about."""
    return f"{item:016x}"


class Difference(NamedTuple):
    """A field in which two states differ. Rows that both have are left out of tables."""

    field: str
    live: Value
    fresh: Value


def told(profile: Profile, name_of: NameOf = by_hash) -> dict[str, Value]:
    """Every field of a profile that is not at its default, by name."""
    plain = Profile()
    return {
        field: _told(profile, field, name_of)
        for field in Profile.__struct_fields__
        if getattr(profile, field) != getattr(plain, field)
    }


def differences(live: Profile, fresh: Profile, name_of: NameOf = by_hash) -> list[Difference]:
    """The fields in which two profiles are not the same, in the order of the profile."""
    found = []
    for field in Profile.__struct_fields__:
        if getattr(live, field) != getattr(fresh, field):
            ours, theirs = _told(live, field, name_of), _told(fresh, field, name_of)
            if isinstance(ours, list) and isinstance(theirs, list):
                ours, theirs = [row for row in ours if row not in theirs], [row for row in theirs if row not in ours]
            if ours == theirs:
                # Alike to the last digit that is shown, or rows in another order.
                ours, theirs = _raw(getattr(live, field)), _raw(getattr(fresh, field))
            found.append(Difference(field, ours, theirs))
    return found


def _told(profile: Profile, field: str, name_of: NameOf) -> Value:
    value = getattr(profile, field)
    if field in _TIMES:
        return to_rfc3339(value) if value else None
    if field in _COUNTS:
        return _decayed(value, profile, 1.0)
    table = _TABLES.get(field)
    return table(profile, name_of) if table is not None else _raw(value)


def _raw(value: Value) -> Value:
    return value.hex() if isinstance(value, bytes) else value


def _decayed(sums: bytes, profile: Profile, unit: float) -> Value:
    read = decay.read(sums, profile.last_time, profile.last_time)
    days = (half_life // DAY_MS for half_life in decay.HALF_LIVES)
    return {f"{day}d": round(value / unit, _DIGITS) for day, value in zip(days, read, strict=True)}


def _baskets(profile: Profile, name_of: NameOf) -> Value:
    return [
        {
            "order": f"{basket.order:08x}",
            "time": to_rfc3339(basket.time),
            "revenue": basket.revenue / _CENTS,
            "units": 0.0 if basket.returned_whole else basket.units / _MILLI,
        }
        for basket in rings.baskets(profile)
    ]


def _settled_revenue(profile: Profile, name_of: NameOf) -> Value:
    return [
        {"from": to_rfc3339(bucket * baskets.BUCKET_MS), "revenue": cents / _CENTS}
        for bucket, cents in baskets.BUCKET.iter_unpack(profile.settled_revenue)
    ]


def _interactions(profile: Profile, name_of: NameOf) -> Value:
    return [
        {
            "type": each.type,
            "item": name_of(each.item_hash),
            "time": to_rfc3339(each.time),
            "quantity": each.quantity,
            "price": each.price,
        }
        for each in rings.interactions(profile)
    ]


def _items(profile: Profile, name_of: NameOf) -> Value:
    return [
        {"item": name_of(item), "decayed_count": round(_faded(count, profile), _DIGITS), "last_day": to_rfc3339(day)}
        for item, count, day in ((i, c, d * DAY_MS) for i, c, d in items.ROW.iter_unpack(profile.items))
    ]


def _categories(profile: Profile, name_of: NameOf) -> Value:
    return [
        {"category": f"{category:08x}", "weight": round(_faded(weight, profile), _DIGITS)}
        for category, weight in categories.ROW.iter_unpack(profile.categories)
    ]


def _faded(value: float, profile: Profile) -> float:
    return decay.faded(value, profile.last_time, profile.last_time, decay.HALF_LIVES[decay.QUARTER])


def _cart(profile: Profile, name_of: NameOf) -> Value:
    return [
        {
            "item": name_of(each.item_hash),
            "quantity": each.quantity,
            "price": each.price,
            "time": to_rfc3339(each.time),
        }
        for each in rings.cart_items(profile)
    ]


def _event_ids(profile: Profile, name_of: NameOf) -> Value:
    ids = profile.event_ids
    return [ids[start : start + EVENT_ID_SIZE].hex() for start in range(0, len(ids), EVENT_ID_SIZE)]


_TIMES: Final = frozenset(
    {
        "linked_at",
        "first_time",
        "last_time",
        "settled_first",
        "settled_last",
        "cart_cleared_at",
        "personalization_at",
        "marketing_at",
        "expires_at",
        "asked_at",
        "ask_due",
        "silence_due",
    }
)
_COUNTS: Final = frozenset(
    {"browse_counts", "cart_counts", "purchase_counts", "return_counts", "review_counts", "engagement_counts"}
)
_TABLES: Final[dict[str, Callable[[Profile, NameOf], Value]]] = {
    "purchase_amounts": lambda profile, name_of: _decayed(profile.purchase_amounts, profile, _CENTS),
    "linked_visitor": lambda profile, name_of: f"{profile.linked_visitor:016x}",
    "cart_cleared_by": lambda profile, name_of: f"{profile.cart_cleared_by:08x}",
    "event_ids": _event_ids,
    "baskets": _baskets,
    "settled_revenue": _settled_revenue,
    "interactions": _interactions,
    "items": _items,
    "categories": _categories,
    "cart": _cart,
    "evidence": lambda profile, name_of: noted(profile),
}

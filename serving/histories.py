"""The packed rings of many profiles at once, as numpy arrays: what features and answers read instead of row-by-row
readers.

The layouts are those of ``stream.profiles.interactions``, ``items`` and ``baskets``; tests hold the two together.
What the numbers mean is said there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from stream.contracts.times import DAY_MS
from stream.profiles import decay, interactions
from stream.profiles.profile import Profile

HISTORY: Final = interactions.CAPACITY

_INTERACTION: Final = np.dtype(
    [("seconds", ">u4"), ("code", "u1"), ("item", ">u8"), ("tag", ">u2"), ("quantity", ">f2"), ("price", ">f2")]
)
_COUNTED_ITEM: Final = np.dtype([("item", "<u8"), ("count", "<f8"), ("day", "<u2")])
_BASKET: Final = np.dtype([("order", "<u4"), ("time", "<i8"), ("cents", "<i8"), ("units", "<i8"), ("counts", "?")])
_CENTS: Final = 100.0
_HALF_LIFE: Final = decay.HALF_LIVES[decay.QUARTER]


class Interactions(NamedTuple):
    """All interactions of B profiles, M in all, each customer's oldest first.

    Attributes:
        row: intp[M]: which profile.
        column: intp[M]: place in a history of ``HISTORY``, of which the newest is the last.
        code: uint8[M]: as in ``interactions.TYPES``.
        item: uint64[M]: item hash.
        time: int64[M]: epoch milliseconds.
        quantity, price: float64[M].
    """

    row: npt.NDArray[np.intp]
    column: npt.NDArray[np.intp]
    code: npt.NDArray[np.uint8]
    item: npt.NDArray[np.uint64]
    time: npt.NDArray[np.int64]
    quantity: npt.NDArray[np.float64]
    price: npt.NDArray[np.float64]


def read_interactions(profiles: Sequence[Profile]) -> Interactions:
    """The rings of ``profiles``, joined."""
    lengths = np.fromiter((len(p.interactions) for p in profiles), np.intp, len(profiles)) // _INTERACTION.itemsize
    rows = np.frombuffer(b"".join([p.interactions for p in profiles]), _INTERACTION)
    row = np.repeat(np.arange(len(profiles)), lengths)
    ends = np.cumsum(lengths)
    return Interactions(
        row=row,
        column=np.arange(len(rows)) - ends[row] + HISTORY,
        code=rows["code"],
        item=rows["item"].astype(np.uint64),
        time=rows["seconds"].astype(np.int64) * 1000,
        quantity=rows["quantity"].astype(np.float64),
        price=rows["price"].astype(np.float64),
    )


class Baskets(NamedTuple):
    """The newest baskets that were not returned in full, of B profiles, M in all, each customer's oldest first.

    Attributes:
        row: intp[M]: which profile.
        place: intp[M]: 0 for a customer's newest basket, 1 for the one before.
        time: int64[M]: epoch milliseconds.
        revenue: float64[M]: purchases less returns in currency, not below 0.
    """

    row: npt.NDArray[np.intp]
    place: npt.NDArray[np.intp]
    time: npt.NDArray[np.int64]
    revenue: npt.NDArray[np.float64]


def read_baskets(profiles: Sequence[Profile]) -> Baskets:
    """The tables of baskets of ``profiles``, joined: at most ``baskets.CAPACITY`` of each."""
    lengths = np.fromiter((len(p.baskets) for p in profiles), np.intp, len(profiles)) // _BASKET.itemsize
    table = np.frombuffer(b"".join([p.baskets for p in profiles]), _BASKET)
    counts = table["counts"]
    row = np.repeat(np.arange(len(profiles)), lengths)[counts]
    ends = np.cumsum(np.bincount(row, minlength=len(profiles)))
    return Baskets(
        row=row,
        place=ends[row] - 1 - np.arange(len(row)),
        time=table["time"][counts].astype(np.int64),
        revenue=np.maximum(table["cents"][counts], 0) / _CENTS,
    )


class OwnItems(NamedTuple):
    """What B customers bought, M pairs in all; a pair may come twice and then adds up.

    Attributes:
        row: intp[M]: which profile.
        item: uint64[M]: item hash.
        lines: float64[M]: purchase lines, halved every 90 days, as of the moment asked for.
        days: float64[M]: since the last purchase, at the moment asked for.
    """

    row: npt.NDArray[np.intp]
    item: npt.NDArray[np.uint64]
    lines: npt.NDArray[np.float64]
    days: npt.NDArray[np.float64]


def read_own_items(profiles: Sequence[Profile], as_of: npt.NDArray[np.int64], seen: Interactions) -> OwnItems:
    """Purchases still in the ring (``seen``), and the counted ones that have left it. See ``items.top_items``."""
    lengths = np.fromiter((len(p.items) for p in profiles), np.intp, len(profiles)) // _COUNTED_ITEM.itemsize
    counted = np.frombuffer(b"".join([p.items for p in profiles]), _COUNTED_ITEM)
    landmarks = np.fromiter((decay.landmark(p.last_time) for p in profiles), np.int64, len(profiles))
    row = np.repeat(np.arange(len(profiles)), lengths)
    faded = counted["count"] * np.exp2((landmarks - as_of)[row] / _HALF_LIFE)

    bought = seen.code == interactions.PURCHASE
    recent = np.exp2((seen.time[bought] - as_of[seen.row[bought]]) / _HALF_LIFE)
    rows = np.concatenate([row, seen.row[bought]])
    times = np.concatenate([counted["day"].astype(np.int64) * DAY_MS, seen.time[bought]])
    return OwnItems(
        row=rows,
        item=np.concatenate([counted["item"].astype(np.uint64), seen.item[bought]]),
        lines=np.concatenate([faded, recent]),
        days=np.maximum(as_of[rows] - times, 0) / DAY_MS,
    )

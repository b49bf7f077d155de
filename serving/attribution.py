"""What moved a score, by named groups of features: exact Shapley values against a reference customer.

A coalition of groups is a customer of whom these groups' facts are the customer's own and all others the reference's.
Groups in which the two are equal cannot move anything and take no part, so n groups that differ make 2^n rows, 256 at
the most. Churn is made of the statistics alone, so the history is the customer's own in every row. This module makes
the rows and weighs what the network says to them; who is asked, and when, is ``stream.workers.explaining``'s business.
Why it is so is decision 12.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.outlook import OUTLOOK, outlook
from serving.scorer import Tensors
from serving.shop import Shop
from serving.statistics import STATISTICS, revenue_a_day, silence_in_gaps

Floats = npt.NDArray[np.float64]
Members = npt.NDArray[np.bool_]


class Group(NamedTuple):
    """Facts that move together.

    Attributes:
        code: what contributions call it.
        statistics: names of the statistics that tell of nothing else.
    """

    code: str
    statistics: tuple[str, ...]


def _half_lives(kind: str) -> tuple[str, ...]:
    return tuple(f"{kind}_{half_life}" for half_life in ("1d", "7d", "30d", "90d"))


GROUPS: Final = (
    Group(
        "silence",
        (
            *("recency_days", "calendar_recency_days", "purchases_1d", "purchases_7d", "amount_1d", "amount_7d"),
            *("baskets_within_30d", "revenue_within_30d"),
        ),
    ),
    Group(
        "rhythm",
        (
            *("baskets", "one_basket", "purchases_30d", "purchases_90d", "mean_gap_days", "gap_deviation_days"),
            *("baskets_within_60d", "baskets_within_90d", "baskets_within_180d", "baskets_within_365d"),
            *("last_gap", "gap_before", "year_ago_next_30d", "year_ago_next_90d", "year_ago_next_180d"),
        ),
    ),
    Group(
        "spending",
        (
            *("amount_30d", "amount_90d", "revenue", "revenue_365d", "mean_basket", "log_basket"),
            *("log_basket_deviation", "basket_0", "basket_1", "basket_2"),
            *("revenue_within_60d", "revenue_within_90d", "revenue_within_180d", "revenue_within_365d"),
        ),
    ),
    Group("assortment", ("lines_a_basket", "distinct_share", "unit_price", "units", "known_lines")),
    Group("cart", (*_half_lives("carts"), "in_cart")),
    Group("visits", (*_half_lives("browses"), *_half_lives("engagements"))),
    Group("returns", (*_half_lives("returns"), "returned_share")),
    Group("opinion", (*_half_lives("reviews"), "has_rating", "mean_rating")),
)
"""In the order in which ties are told. That an order came lately says how long the silence is, and so do the shortest
half-lives and the shortest window."""

CODES: Final = tuple(group.code for group in GROUPS)

DERIVED: Final[Mapping[str, tuple[str, ...]]] = {
    "tenure_days": ("silence", "rhythm"),
    "calendar_tenure_days": ("silence", "rhythm"),
    "silence_in_gaps": ("silence", "rhythm"),
    "hazard_30d": ("silence", "rhythm"),
    "hazard_60d": ("silence", "rhythm"),
    "hazard_90d": ("silence", "rhythm"),
    "alive": ("silence", "rhythm"),
    "buys_180d": ("silence", "rhythm"),
    "purchases_180d": ("silence", "rhythm"),
    "revenue_a_day": ("silence", "rhythm", "spending"),
    "bought_value_180d": ("silence", "rhythm", "spending"),
    "value_180d": ("silence", "rhythm", "spending"),
}
"""Statistics that follow from others, and the groups that these belong to. In a coalition that has some of these groups
and not all, they are worked out anew: the silence of one customer in the rhythm of another."""

LARGEST_ROWS: Final = 2 ** len(GROUPS)

_COLUMN: Final = {name: column for column, name in enumerate(STATISTICS)}
_OWNER: Final = np.array(
    [next((g for g, group in enumerate(GROUPS) if name in group.statistics), 0) for name in STATISTICS], np.intp
)
"""Group of each statistic; those derived are overwritten."""

_LONGEST_DAYS: Final = 1_000.0


class Explanation(NamedTuple):
    """One customer's coalitions.

    Attributes:
        players: places in ``GROUPS`` of those that differ, n of them.
        tensors: inputs of the network, 2^n rows; bit i of a row's number says that ``players[i]`` is in it. The first
            row has the statistics of the reference, the last one is the customer.
    """

    players: tuple[int, ...]
    tensors: Tensors

    @property
    def rows(self) -> int:
        return 1 << len(self.players)


def explanation(own: Tensors, reference: Tensors, as_of: int, shop: Shop) -> Explanation:
    """The coalitions of a customer.

    Args:
        own, reference: one row each of ``serving.features.tensors``, made for the same moment.
        as_of: that moment, epoch milliseconds.
        shop: as the features read it.
    """
    players = tuple(group for group in range(len(GROUPS)) if _differs(group, own, reference))
    numbers = np.arange(1 << len(players))
    members = np.zeros((len(numbers), len(GROUPS)), np.bool_)
    for bit, group in enumerate(players):
        members[:, group] = numbers >> bit & 1
    return Explanation(
        players,
        {
            "stats": _statistics(members, own["stats"][0], reference["stats"][0], as_of, shop),
            **{name: np.repeat(own[name], len(numbers), axis=0) for name in own if name != "stats"},
        },
    )


def shapley(values: Floats) -> Floats:
    """float64[n] from float64[2^n]: what each of n players brings, by Shapley (1953).

    Args:
        values: of every coalition; bit i of its number says that player i is in it. The contributions add up to the
            last value less the first.
    """
    players = len(values).bit_length() - 1
    numbers = np.arange(len(values))
    sizes = np.array([int(number).bit_count() for number in numbers])
    brought = np.zeros(players)
    for player in range(players):
        without = numbers[numbers >> player & 1 == 0]
        weights = np.array([1.0 / (players * math.comb(players - 1, size)) for size in range(players)])
        brought[player] = weights[sizes[without]] @ (values[without | 1 << player] - values[without])
    return brought


def _differs(group: int, own: Tensors, reference: Tensors) -> bool:
    columns = [_COLUMN[name] for name in GROUPS[group].statistics]
    return not np.array_equal(own["stats"][0, columns], reference["stats"][0, columns])


def _statistics(
    members: Members, own: npt.NDArray[Any], reference: npt.NDArray[Any], as_of: int, shop: Shop
) -> npt.NDArray[np.float32]:
    """float32[R, S] from bool[R, G] and a row of each."""
    rows = np.where(members[:, _OWNER], own, reference)
    anew = _derived(rows.astype(np.float64), members, own, reference, as_of, shop)
    for name, sources in DERIVED.items():
        column = _COLUMN[name]
        having = members[:, [CODES.index(code) for code in sources]]
        # A customer's own figure is taken as it stands, so that the last row is what was scored.
        mixed = np.where(having.any(axis=1), anew[name], reference[column])
        rows[:, column] = np.where(having.all(axis=1), own[column], mixed)
    return rows.astype(np.float32)


def _derived(
    rows: Floats, members: Members, own: npt.NDArray[Any], reference: npt.NDArray[Any], as_of: int, shop: Shop
) -> dict[str, Floats]:
    """What follows from the other statistics of each row: float64[R] by name. See ``serving.statistics``."""

    def read(name: str) -> Floats:
        return rows[:, _COLUMN[name]]

    def until_last(recency: str, tenure: str) -> Floats:
        """Days from the first order to the last one, which belong to the rhythm."""
        spans = [np.expm1(float(side[_COLUMN[tenure]])) - np.expm1(float(side[_COLUMN[recency]])) for side in sides]
        return np.asarray(np.where(members[:, CODES.index("rhythm")], max(spans[0], 0.0), max(spans[1], 0.0)))

    sides = (own, reference)
    silence, last = np.expm1(read("recency_days")), until_last("recency_days", "tenure_days")
    known_days = until_last("calendar_recency_days", "calendar_tenure_days") + np.expm1(read("calendar_recency_days"))
    expected = outlook(
        shop,
        np.full(len(rows), as_of, np.int64),
        baskets=np.rint(np.expm1(read("baskets"))),
        tenure=last + silence,
        last=last,
        silence=silence,
        log_revenue_year=read("revenue_365d"),
        log_amount=read("amount_90d"),
        log_mean_basket=read("mean_basket"),
        log_basket=read("log_basket"),
    )
    return dict(zip(OUTLOOK, expected.T, strict=True)) | {
        "calendar_tenure_days": np.log1p(np.clip(known_days, 0, _LONGEST_DAYS)),
        "silence_in_gaps": silence_in_gaps(silence, np.expm1(read("mean_gap_days"))),
        "revenue_a_day": revenue_a_day(read("revenue_365d"), last + silence),
    }

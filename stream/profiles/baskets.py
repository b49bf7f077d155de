"""A customer's baskets: the newest 16 one by one, so that late parts and returns find theirs; the older ones in sums.

A basket is all purchases and returns of one ``transaction_id``, at the time of the earliest. It counts while it has not
been returned in full. Written by ``purchases`` and ``returns``; rhythm and revenue are read through ``statistics``.
"""

from struct import Struct
from typing import Final, NamedTuple

from stream.contracts.times import DAY_MS
from stream.profiles import decay, packing
from stream.profiles.profile import Profile

CAPACITY: Final = 16
ROW: Final = Struct("<Iqqq?")
"""Hash of the order's id, time, cents less returns, thousandths of units less returns, whether the basket counts."""

_SIZE: Final = ROW.size
_FULL: Final = CAPACITY * _SIZE
_KEY: Final = Struct("<I")
_TIME: Final = Struct("<q")
_TIME_AT: Final = _KEY.size
_COUNTS_AT: Final = _SIZE - 1
"""Where they lie in a row."""

BUCKET: Final = Struct("<Hq")
"""Number of the 28-day bucket since 1970, cents."""
BUCKET_MS: Final = 28 * DAY_MS
BUCKETS_KEPT: Final = 14
"""Thirteen buckets cover 364 days; with one more, whole buckets always cover the last 365."""

UNITS: Final = 1000
"""A unit in the table's thousandths."""
RETURNED_WHOLE: Final = -(1 << 60)
"""Added to the units of an order that was returned without naming items: what comes of it later is dead too."""


class Basket(NamedTuple):
    """One order."""

    order: int
    """32-bit hash of the ``transaction_id``, or of the event's id where there is none."""
    time: int
    cents: int
    """Purchases less returns."""
    units: int
    """Purchases less returns, in thousandths."""

    @property
    def counts(self) -> bool:
        """Whether anything of it was kept."""
        return self.units > 0

    @property
    def returned_whole(self) -> bool:
        """Whether the order was returned without naming items."""
        return self.units < RETURNED_WHOLE // 2

    @property
    def revenue(self) -> int:
        """Net cents that it brought; 0 where the order was returned as a whole."""
        return 0 if self.returned_whole else self.cents


class Rhythm(NamedTuple):
    """When a customer bought, over all baskets that count."""

    baskets: int
    first: int
    last: int
    """Epoch milliseconds; 0 without baskets."""
    mean_gap_s: float
    """Mean of the seconds between baskets; 0.0 with fewer than two."""
    gap_variance_s2: float
    """Population variance of the same, in seconds squared; 0.0 with fewer than three."""


def baskets(profile: Profile) -> list[Basket]:
    """The newest baskets, oldest first, with those that were returned."""
    return [Basket(*entry[:-1]) for entry in ROW.iter_unpack(profile.baskets)]


def find(profile: Profile, order: int) -> Basket | None:
    """The basket of an order, if it is among the newest."""
    at = packing.place(profile.baskets, _KEY.pack(order), _SIZE)
    return Basket(*ROW.unpack_from(profile.baskets, at)[:-1]) if at >= 0 else None


def rhythm(profile: Profile) -> Rhythm:
    """When the customer bought. Exact while at most 16 baskets lie within the allowed lateness."""
    count, first, last = profile.settled_baskets, profile.settled_first, profile.settled_last
    squares = profile.settled_gap_squares
    for _, time, _, _, counts in ROW.iter_unpack(profile.baskets):
        if counts:
            if not count:
                first = last = time
            elif time > last:
                squares += _gap_square(last, time)
                last = time
            elif time < first:
                squares += _gap_square(time, first)
                first = time
            count += 1
    gaps = count - 1
    if gaps < 1:
        return Rhythm(count, first, last, 0.0, 0.0)
    span = last // 1000 - first // 1000
    return Rhythm(count, first, last, span / gaps, (squares * gaps - span * span) / (gaps * gaps))


def span(profile: Profile) -> tuple[int, int, int]:
    """How many baskets count, time of the first and of the last: the part of ``rhythm`` that costs little."""
    table, settled = profile.baskets, profile.settled_baskets
    counts = table[_COUNTS_AT::_SIZE]
    newest = counts.rfind(1)
    if newest < 0:
        return settled, profile.settled_first, profile.settled_last
    first = int(_TIME.unpack_from(table, counts.find(1) * _SIZE + _TIME_AT)[0])
    last = int(_TIME.unpack_from(table, newest * _SIZE + _TIME_AT)[0])
    if not settled:
        return counts.count(1), first, last
    return settled + counts.count(1), min(first, profile.settled_first), max(last, profile.settled_last)


def begin(profile: Profile, order: int, time: int, cents: int, units: int) -> None:
    """Adds the basket of an order that is not among the newest, and carries it to all sums."""
    counts = units > 0
    _carry(profile, time, int(counts), cents)
    table = profile.baskets
    profile.baskets = table + ROW.pack(order, time, cents, units, counts)
    if table and time <= _TIME.unpack_from(table, len(table) - _SIZE + _TIME_AT)[0]:
        _sort(profile)
    if len(profile.baskets) > _FULL:
        settle(profile, CAPACITY)


def replace(profile: Profile, old: Basket, new: Basket) -> None:
    """Puts ``new`` where ``old`` of the same order is, and carries what changed to all sums."""
    if old.time == new.time:
        _carry(profile, new.time, new.counts - old.counts, new.revenue - old.revenue)
    else:
        _carry(profile, old.time, -int(old.counts), -old.revenue)
        _carry(profile, new.time, int(new.counts), new.revenue)
    table = profile.baskets
    at = packing.place(table, _KEY.pack(new.order), _SIZE)
    profile.baskets = table[:at] + ROW.pack(*new, new.counts) + table[at + _SIZE :]
    if old.time != new.time:
        _sort(profile)


def settle(profile: Profile, capacity: int) -> None:
    """Moves the oldest baskets into the sums until ``capacity`` are left."""
    surplus = len(profile.baskets) - capacity * _SIZE
    if surplus <= 0:
        return
    for entry in ROW.iter_unpack(profile.baskets[:surplus]):
        basket = Basket(*entry[:-1])
        if basket.counts:
            _settle_time(profile, basket.time)
        if basket.revenue:
            book(profile, basket.time, basket.revenue)
    profile.baskets = profile.baskets[surplus:]


def book(profile: Profile, time: int, cents: int) -> None:
    """Counts revenue that belongs to no basket of the table by its bucket of 28 days."""
    rows = dict(BUCKET.iter_unpack(profile.settled_revenue))
    bucket = time // BUCKET_MS
    rows[bucket] = rows.get(bucket, 0) + cents
    oldest = profile.last_time // BUCKET_MS - BUCKETS_KEPT
    profile.settled_revenue = b"".join(
        BUCKET.pack(number, rows[number]) for number in sorted(rows) if number >= oldest and rows[number]
    )


def revenue_since(profile: Profile, since: int) -> int:
    """Net cents after ``since``: exact for the baskets of the table, by whole buckets of 28 days for what is older."""
    cents = sum(basket.revenue for basket in baskets(profile) if basket.time > since)
    for bucket, booked in BUCKET.iter_unpack(profile.settled_revenue):
        if (bucket + 1) * BUCKET_MS > since:
            cents += int(booked)
    return cents


def _carry(profile: Profile, time: int, count: int, cents: int) -> None:
    if not (count or cents):
        return
    weights = decay.weights(time, profile.last_time)
    if count == 1:
        profile.purchase_counts = decay.counted(profile.purchase_counts, weights)
    elif count:
        profile.purchase_counts = decay.added(profile.purchase_counts, weights, count)
    if cents:
        profile.purchase_amounts = decay.added(profile.purchase_amounts, weights, cents)
        profile.revenue_cents += cents


def _sort(profile: Profile) -> None:
    rows = sorted(ROW.iter_unpack(profile.baskets), key=lambda entry: (entry[1], entry[0]))
    profile.baskets = b"".join(ROW.pack(*entry) for entry in rows)


def _settle_time(profile: Profile, time: int) -> None:
    # A basket older than those settled already splits a gap whose ends are no longer known: it is counted, and only a
    # new first or last basket adds a gap.
    if not profile.settled_baskets:
        profile.settled_first = profile.settled_last = time
    elif time >= profile.settled_last:
        profile.settled_gap_squares += _gap_square(profile.settled_last, time)
        profile.settled_last = time
    elif time < profile.settled_first:
        profile.settled_gap_squares += _gap_square(time, profile.settled_first)
        profile.settled_first = time
    profile.settled_baskets += 1


def _gap_square(earlier: int, later: int) -> int:
    # By whole seconds since 1970, so that gaps add up to the span.
    gap = later // 1000 - earlier // 1000
    return gap * gap

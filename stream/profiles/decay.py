"""Exponentially decayed sums that do not care in which order their parts arrive.

Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay: A Practical Time Decay Model for Streaming Systems",
ICDE 2009): each part is weighted by its distance from a fixed landmark, so adding one touches no other, a late one is
added like any other, and taking one back subtracts what it added. Called by the fold and by ``statistics``.
"""

from math import exp2
from struct import Struct
from typing import Final

from stream.contracts.times import DAY_MS

HALF_LIVES: Final = (DAY_MS, 7 * DAY_MS, 30 * DAY_MS, 90 * DAY_MS)
"""Milliseconds after which a part counts half."""

ERA_MS: Final = 630 * DAY_MS
"""Landmarks lie this far apart: the least common multiple of the half-lives, so that moving to the next one divides
each sum by a power of two, which is exact in binary floating point. 2**630 is far from the largest float64."""

QUARTER: Final = len(HALF_LIVES) - 1
MONTH: Final = 2
"""Places in ``HALF_LIVES`` of 90 and 30 days."""

Weights = tuple[float, float, float, float]
"""What one part counts under each of ``HALF_LIVES``, relative to the landmark."""

_SUMS: Final = Struct("<4d")
_ZERO: Final = (0.0, 0.0, 0.0, 0.0)
_DAY, _WEEK, _MONTH, _QUARTER = (float(half_life) for half_life in HALF_LIVES)
_ROUNDING: Final = 1e-14
"""What is left of a sum after its only part was taken back, relative to that part, is rounding: it becomes zero."""


def landmark(last_time: int) -> int:
    """The landmark to which decayed values of a profile with this newest event refer. Epoch milliseconds."""
    return last_time - last_time % ERA_MS


def weight(time: int, last_time: int, half_life: int) -> float:
    """What one part at ``time`` adds to a sum: ``2 ** ((time - landmark) / half_life)``; 0.0 for the distant past."""
    return exp2((time - landmark(last_time)) / half_life)


def faded(value: float, at: int, last_time: int, half_life: int) -> float:
    """A kept sum as it counts at ``at``.

    >>> from stream.contracts.times import DAY_MS
    >>> kept = weight(0, 0, DAY_MS)
    >>> faded(kept, 2 * DAY_MS, 0, DAY_MS)
    0.25
    """
    return value * exp2((landmark(last_time) - at) / half_life)


def weights(time: int, last_time: int) -> Weights:
    """``weight`` for each of ``HALF_LIVES``."""
    since = time - last_time + last_time % ERA_MS
    return exp2(since / _DAY), exp2(since / _WEEK), exp2(since / _MONTH), exp2(since / _QUARTER)


def counted(sums: bytes, at: Weights) -> bytes:
    """The four packed sums (see ``HALF_LIVES``) with one more event counted, weighted as of its time.

    >>> read(counted(b"", weights(0, 0)), 0, 0)
    (1.0, 1.0, 1.0, 1.0)
    """
    if not sums:
        return _SUMS.pack(*at)
    day, week, month, quarter = at
    days, weeks, months, quarters = _SUMS.unpack(sums)
    return _SUMS.pack(days + day, weeks + week, months + month, quarters + quarter)


def added(sums: bytes, at: Weights, amount: float) -> bytes:
    """The four packed sums (see ``HALF_LIVES``) with ``amount`` added, weighted as of its time; taken back if negative.

    >>> once = added(b"", weights(0, 0), 3.0)
    >>> read(added(once, weights(0, 0), -2.0), 0, 0)
    (1.0, 1.0, 1.0, 1.0)
    """
    day, week, month, quarter = at
    if not sums:
        return _SUMS.pack(amount * day, amount * week, amount * month, amount * quarter)
    days, weeks, months, quarters = _SUMS.unpack(sums)
    if amount > 0:
        return _SUMS.pack(
            days + amount * day, weeks + amount * week, months + amount * month, quarters + amount * quarter
        )
    return _SUMS.pack(
        _less(days, amount * day),
        _less(weeks, amount * week),
        _less(months, amount * month),
        _less(quarters, amount * quarter),
    )


def read(sums: bytes, at: int, last_time: int) -> tuple[float, float, float, float]:
    """The four packed sums as they count at ``at``."""
    if not sums:
        return _ZERO
    since = landmark(last_time) - at
    day, week, month, quarter = _SUMS.unpack(sums)
    return (
        day * exp2(since / _DAY),
        week * exp2(since / _WEEK),
        month * exp2(since / _MONTH),
        quarter * exp2(since / _QUARTER),
    )


def moved(sums: bytes, eras: int) -> bytes:
    """The four packed sums relative to a landmark that lies ``eras`` later."""
    if not sums:
        return sums
    day, week, month, quarter = _SUMS.unpack(sums)
    return _SUMS.pack(
        day * _era_factor(_DAY, eras),
        week * _era_factor(_WEEK, eras),
        month * _era_factor(_MONTH, eras),
        quarter * _era_factor(_QUARTER, eras),
    )


def moved_value(value: float, eras: int, half_life: int) -> float:
    """One kept sum relative to a landmark that lies ``eras`` later."""
    return value * _era_factor(half_life, eras)


def _era_factor(half_life: float, eras: int) -> float:
    return exp2(-eras * ERA_MS / half_life)


def _less(total: float, part: float) -> float:
    rest = total + part
    return rest if abs(rest) > _ROUNDING * abs(part) else 0.0

"""Which interval of revenue holds the truth? Arms drawn with replacement from real windows of 90 days.

    python -m benchmarks.campaign_intervals [EVENTS ...] [--draws 2000]

Textbook intervals, two that are made for skewness, and revenue capped as `tidemark campaigns report` caps it: how many
of the draws hold the difference that is true of the windows. The table of decision 26; the windows are those of
`benchmarks.campaigns`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.campaigns import people
from serving.history import read_events
from stream.operations.campaigns.statistics import cap_of, difference_of_means
from stream.operations.demo_events import sample
from stream.profiles.settings import ProfileSettings

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]

SIZES: Final = ((450, 50), (900, 100), (4_500, 500), (2_500, 2_500))
RESAMPLED: Final = 300
"""Draws of the bootstrap, within each draw."""
RESAMPLED_EVERY: Final = 5
"""Of the draws: the bootstrap takes long."""

_SEED: Final = 20_110_609
_Z: Final = 1.959964


def welch(one: Floats, other: Floats) -> Interval:
    """Each arm by its own variance."""
    return _around(one, other, math.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other)))


def pooled(one: Floats, other: Floats) -> Interval:
    """Both arms by the variance of both."""
    n, m = len(one), len(other)
    variance = ((n - 1) * one.var(ddof=1) + (m - 1) * other.var(ddof=1)) / (n + m - 2)
    return _around(one, other, math.sqrt(variance * (1 / n + 1 / m)))


def skewness(one: Floats, other: Floats) -> Interval:
    """Hall's cubic transformation (1992) with the third cumulant of the difference (Zhou, Dinh 2005)."""
    n, m = len(one), len(other)
    error = math.sqrt(one.var(ddof=1) / n + other.var(ddof=1) / m)
    third = (((one - one.mean()) ** 3).mean() / n**2 - ((other - other.mean()) ** 3).mean() / m**2) / error**3
    seen = float(one.mean() - other.mean())

    def back(z: float) -> float:
        return float(3.0 / third * (np.cbrt(1.0 + third * (z - third / 6.0)) - 1.0))

    return seen - back(_Z) * error, seen - back(-_Z) * error


def bootstrap_t(one: Floats, other: Floats, random: np.random.Generator) -> Interval:
    """Quantiles of the studentised difference, resampled (Efron 1979)."""
    means, errors = np.zeros(RESAMPLED), np.zeros(RESAMPLED)
    for arm, sign in ((one, 1.0), (other, -1.0)):
        rows = arm[random.integers(0, len(arm), (RESAMPLED, len(arm)))]
        means += sign * rows.mean(axis=1)
        errors += rows.var(axis=1, ddof=1) / len(arm)
    seen = float(one.mean() - other.mean())
    low, high = np.quantile((means - seen) / np.sqrt(errors), [0.025, 0.975])
    error = math.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
    return seen - float(high) * error, seen - float(low) * error


def reported(one: Floats, other: Floats) -> Interval:
    """The report's: the wider one."""
    found = difference_of_means(one, other)
    assert found is not None
    return found.low, found.high


def _around(one: Floats, other: Floats, error: float) -> Interval:
    seen = float(one.mean() - other.mean())
    return seen - _Z * error, seen + _Z * error


PLAIN: Final[Mapping[str, Callable[[Floats, Floats], Interval]]] = {
    "Welch": welch,
    "pooled": pooled,
    "skewness": skewness,
    "the wider": reported,
}


def more_buyers(windows: Floats) -> Floats:
    """A tenth of those who did not buy do, for what others spent."""
    random = np.random.default_rng(_SEED)
    changed, nothing = windows.copy(), np.flatnonzero(windows == 0.0)
    bought = random.choice(nothing, len(nothing) // 10, replace=False)
    changed[bought] = random.choice(windows[windows > 0.0], len(bought))
    return changed


EFFECTS: Final[Mapping[str, Callable[[Floats], Floats]]] = {
    "none": lambda windows: windows,
    "more buyers": more_buyers,
    "a fifth more spent": lambda windows: windows * 1.2,
    "a fifth less spent": lambda windows: windows * 0.8,
}


def held(treated: Floats, untreated: Floats, sizes: tuple[int, int], draws: int) -> dict[str, float]:
    """Share of ``draws`` whose interval holds the truth, by method; of capped revenue it is the truth under the cap."""
    random = np.random.default_rng(_SEED)
    hits: dict[str, list[bool]] = {}
    for number in range(draws):
        one, other = random.choice(treated, sizes[0]), random.choice(untreated, sizes[1])
        cap = cap_of(np.concatenate([one, other])) or math.inf
        for capped, at_most in (("", math.inf), ("capped, ", cap)):
            truth = float(np.minimum(treated, at_most).mean() - np.minimum(untreated, at_most).mean())
            arms = np.minimum(one, at_most), np.minimum(other, at_most)
            found = {capped + name: method(*arms) for name, method in PLAIN.items()}
            if not capped and number % RESAMPLED_EVERY == 0:
                found["bootstrap-t"] = bootstrap_t(*arms, random)
            for name, (low, high) in found.items():
                hits.setdefault(name, []).append(low <= truth <= high)
    return {name: sum(own) / len(own) for name, own in hits.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", nargs="*", type=Path, help="as `tidemark convert` writes them")
    parser.add_argument("--draws", type=int, default=2_000)
    given = parser.parse_args()
    events = read_events(given.events, ProfileSettings()) if given.events else sample()
    windows = np.array([person.untreated.revenue for person in people(events, planted=False)])
    bought, spread = windows > 0.0, float(windows.std())
    skew = float(((windows - windows.mean()) ** 3).mean()) / spread**3
    print(f"{len(windows):,} windows, {bought.mean():.2f} with an order, mean {windows.mean():,.0f}, ", end="")
    print(f"standard deviation {spread:,.0f}, skewness {skew:.0f}")
    for name, effect in EFFECTS.items():
        for sizes in SIZES:
            found = held(effect(windows), windows, sizes, given.draws)
            figures = ", ".join(f"{method} {share:.3f}" for method, share in found.items())
            print(f"{name}, {sizes[0]:,} and {sizes[1]:,}: {figures}", flush=True)


if __name__ == "__main__":
    main()

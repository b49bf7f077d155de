"""BG/NBD: how often a customer buys and whether they still do, from the number and the times of their purchases.

Fader, Hardie, Lee: "Counting your customers the easy way" (Marketing Science 2005). A customer buys at a rate drawn
from a gamma distribution (r, alpha) and leaves after a purchase with a probability drawn from a beta distribution (a,
b). Features and the baseline read it from here. Any unit of time will do, as long as it is the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_TERMS: Final = 400
_PRECISION: Final = 1e-10
_LARGEST_STEPS: Final = 600
_FLAT: Final = 1e-9


class PurchaseRates(NamedTuple):
    """The four parameters of a shop's customers.

    Over the 2,357 CDNOW customers of the paper, in weeks: r .243, alpha 4.414, a .793, b 2.426.
    """

    r: float
    alpha: float
    a: float
    b: float

    def alive(self, repeats: Floats, last: Floats, age: Floats) -> Floats:
        """Probability that the customer has not left: float64[N]; 1 for those who bought once.

        Args:
            repeats: purchases after the first.
            last: time from the first purchase to the last.
            age: time from the first purchase until now.
        """
        odds = (self.a / (self.b + np.maximum(repeats, 1.0) - 1.0)) * ((self.alpha + age) / (self.alpha + last)) ** (
            self.r + repeats
        )
        return np.asarray(np.where(repeats > 0, 1.0 / (1.0 + odds), 1.0))

    def silent(self, repeats: Floats, last: Floats, age: Floats, horizon: npt.ArrayLike) -> Floats:
        """Probability of no purchase within ``horizon`` from now: float64[N]."""
        ahead = np.asarray(horizon, np.float64)
        still = ((self.alpha + age) / (self.alpha + age + ahead)) ** (self.r + repeats)
        return np.asarray(1.0 - self.alive(repeats, last, age) * (1.0 - still))

    def expected(self, repeats: Floats, last: Floats, age: Floats, horizon: npt.ArrayLike) -> Floats:
        """Expected number of purchases within ``horizon`` from now (equation 10 of the paper): float64[N]."""
        ahead = np.asarray(horizon, np.float64)
        x = self.a + self.b + repeats - 1.0
        z = ahead / (self.alpha + age + ahead)
        first, second = self.r + repeats, self.b + repeats
        # By Euler's transformation the series converges quickly even for a new customer and a long horizon.
        series = (1.0 - z) ** (x - first - second) * _hypergeometric(x - first, x - second, x, z)
        bought = 1.0 - ((self.alpha + age) / (self.alpha + age + ahead)) ** first * series
        return np.asarray(x / (self.a - 1.0) * bought * self.alive(repeats, last, age))


def _hypergeometric(a: Floats, b: Floats, c: Floats, z: Floats) -> Floats:
    total = np.ones(np.broadcast(a, b, c, z).shape)
    term = total.copy()
    # Each customer's series ends by itself: what is expected of one must not depend on who else is in the batch.
    unfinished = np.ones(total.shape, np.bool_)
    for n in range(_TERMS):
        term = term * ((a + n) * (b + n) / ((c + n) * (n + 1)) * z)
        total = np.where(unfinished, total + term, total)
        unfinished &= np.abs(term) > _PRECISION * np.abs(total)
        if not unfinished.any():
            break
    return total


def log_likelihood(rates: PurchaseRates, repeats: Floats, last: Floats, age: Floats) -> float:
    """Mean log-likelihood of N customers (equation 6 of the paper)."""
    r, alpha, a, b = rates
    buying = _log_gamma(r + repeats) - math.lgamma(r) + r * math.log(alpha)
    leaving = math.lgamma(a + b) + _log_gamma(b + repeats) - math.lgamma(b) - _log_gamma(a + b + repeats)
    stayed = -(r + repeats) * np.log(alpha + age)
    left = math.log(a) - np.log(b + np.maximum(repeats, 1.0) - 1.0) - (r + repeats) * np.log(alpha + last)
    return float(np.mean(buying + leaving + np.where(repeats > 0, np.logaddexp(stayed, left), stayed)))


def _log_gamma(values: Floats) -> Floats:
    distinct, place = np.unique(values, return_inverse=True)
    return np.array([math.lgamma(value) for value in distinct])[place].reshape(values.shape)


def fit_purchase_rates(repeats: Floats, last: Floats, age: Floats) -> PurchaseRates:
    """Maximum likelihood by the simplex method (Nelder, Mead 1965) over the logarithms of the parameters.

    In weeks: with days it was seen not to converge.
    """

    def loss(logs: Floats) -> float:
        # Bounds keep the simplex off the ridge on which a and b grow without end.
        inside = np.clip(logs, _LOWEST, _HIGHEST)
        outside = float(((logs - inside) ** 2).sum())
        return outside - log_likelihood(PurchaseRates(*np.exp(inside).tolist()), repeats, last, age)

    best = _simplex(loss, np.log([0.5, 8.0, 0.5, 3.0]))
    return PurchaseRates(*np.exp(np.clip(best, _LOWEST, _HIGHEST)).tolist())


_LOWEST: Final = np.log([1e-3, 1e-2, 1e-3, 1e-2])
_HIGHEST: Final = np.log([50.0, 500.0, 50.0, 500.0])


def _simplex(loss: Callable[[Floats], float], start: Floats) -> Floats:
    corners = [start, *(start + 0.5 * axis for axis in np.eye(len(start)))]
    losses = [loss(corner) for corner in corners]
    for _ in range(_LARGEST_STEPS):
        order = np.argsort(losses, kind="stable")
        corners, losses = [corners[i] for i in order], [losses[i] for i in order]
        if losses[-1] - losses[0] < _FLAT:
            break
        centre = np.mean(corners[:-1], axis=0)
        reflected = 2 * centre - corners[-1]
        tried = loss(reflected)
        if tried < losses[0]:
            further = 3 * centre - 2 * corners[-1]
            gained = loss(further)
            corners[-1], losses[-1] = (further, gained) if gained < tried else (reflected, tried)
        elif tried < losses[-2]:
            corners[-1], losses[-1] = reflected, tried
        else:
            inward = 0.5 * (centre + corners[-1])
            shrunk = loss(inward)
            if shrunk < losses[-1]:
                corners[-1], losses[-1] = inward, shrunk
            else:
                corners = [corners[0], *(0.5 * (corners[0] + corner) for corner in corners[1:])]
                losses = [losses[0], *(loss(corner) for corner in corners[1:])]
    return corners[int(np.argmin(losses))]

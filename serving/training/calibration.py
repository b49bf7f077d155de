"""Calibrates a fitted network on examples later than those it was trained on: Platt's scaling and the total of revenue.

Called by ``serving.training.fit``; the result goes into the exported graph.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.evaluation.logistic import fit_logistic

_SMALLEST: Final = 200
"""Known outcomes below which nothing is fitted and the raw output stands."""

_FACTOR_BOUNDS: Final = (0.5, 2.0)
"""The total of 180 days has a sampling error of about 15 %; a factor beyond these would be an error elsewhere."""


class Calibration(NamedTuple):
    """``P = sigmoid(slope * logit(raw) + intercept)`` per horizon, and the factor on the mean revenue."""

    slope: list[float]
    intercept: list[float]
    revenue_factor: float


def platt(raw: npt.NDArray[np.float64], churned: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Slope and intercept (Platt 1999) from raw probabilities and outcomes 1, 0, -1 (unknown)."""
    known = churned >= 0
    if known.sum() < _SMALLEST or len(np.unique(churned[known])) < 2:
        return 1.0, 0.0
    logit = np.log(raw[known] / (1 - raw[known]))
    fitted = fit_logistic(logit[:, None], churned[known] > 0)
    slope = float(fitted.weights[0] / fitted.scale[0])
    # A slope at or below zero would turn the ranking round: such outcomes say nothing about this output.
    return (slope, fitted.intercept - slope * float(fitted.mean[0])) if slope > 0 else (1.0, 0.0)


def revenue_factor(predicted: npt.NDArray[np.float64], actual: npt.NDArray[np.float32]) -> float:
    """Actual over predicted total where the outcome is known (not -1), within bounds."""
    known = actual >= 0
    if known.sum() < _SMALLEST or predicted[known].sum() <= 0:
        return 1.0
    return float(np.clip(actual[known].astype(np.float64).sum() / predicted[known].sum(), *_FACTOR_BOUNDS))

"""Calibrates a fitted network: Platt's scaling and the total of revenue.

Called by ``serving.training.fit``; the result goes into the exported graph.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.evaluation.logistic import fit_logistic, sigmoid

_SMALLEST: Final = 200
"""Known outcomes below which nothing is fitted and the raw output stands."""

_WIDEST: Final = 6.0
_HALVINGS: Final = 40

_FACTOR_BOUNDS: Final = (0.5, 2.0)
"""The total of 180 days has a sampling error of about 15 %; a factor beyond these would be an error elsewhere."""


class Calibration(NamedTuple):
    """``P = sigmoid(slope * logit(raw) + intercept)`` per horizon, and the factor on the index of value."""

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


def intercept_of(slope: float, raw: npt.NDArray[np.float64], churned: npt.NDArray[np.float32]) -> float:
    """The intercept at which the mean probability is the share of churned, at a given slope."""
    known = churned >= 0
    if known.sum() < _SMALLEST:
        return 0.0
    logit = slope * np.log(raw[known] / (1 - raw[known]))
    share, low, high = float(churned[known].mean()), -_WIDEST, _WIDEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if sigmoid(logit + middle).mean() < share else (low, middle)
    return (low + high) / 2


def revenue_factor(
    index: npt.NDArray[np.float64], actual: npt.NDArray[np.floating[Any]], weight: npt.NDArray[np.float64]
) -> float:
    """Actual over predicted total where the outcome is known (not -1), within bounds.

    Args:
        index: of value, in currency.
        weight: how much each customer counts.
    """
    known = actual >= 0
    predicted = float((weight[known] * index[known]).sum())
    if known.sum() < _SMALLEST or predicted <= 0:
        return 1.0
    return float(np.clip((weight[known] * actual[known]).sum() / predicted, *_FACTOR_BOUNDS))

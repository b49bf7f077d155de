"""Logistic regression by Newton's method: calibration (Platt 1999) and the RFM baseline need no more than this.

Called by ``serving.training.calibration`` and ``serving.evaluation.baselines``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ITERATIONS: Final = 50
_CONVERGED: Final = 1e-9


def sigmoid(logit: npt.ArrayLike) -> Floats:
    """``1 / (1 + exp(-logit))`` without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * np.asarray(logit, np.float64))), np.float64)


class Logistic(NamedTuple):
    """A fitted model: ``P = sigmoid(intercept + (features - mean) / scale @ weights)``."""

    mean: Floats
    scale: Floats
    weights: Floats
    intercept: float

    def probability(self, features: npt.ArrayLike) -> Floats:
        """float64[N] from float64[N, F]."""
        standardised = (np.asarray(features, np.float64) - self.mean) / self.scale
        return sigmoid(self.intercept + standardised @ self.weights)


def fit_logistic(features: npt.ArrayLike, truth: npt.ArrayLike, ridge: float = 1e-3) -> Logistic:
    """Fit on float64[N, F] and bool[N], with an L2 penalty of ``ridge`` per row on the standardised weights."""
    raw = np.asarray(features, np.float64)
    mean, scale = raw.mean(axis=0), raw.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    design = np.column_stack([np.ones(len(raw)), (raw - mean) / scale])
    outcome = np.asarray(truth, np.float64)
    penalty = np.full(design.shape[1], ridge * len(raw))
    penalty[0] = 1e-9 * len(raw)
    weights = np.zeros(design.shape[1])
    for _ in range(_ITERATIONS):
        probability = sigmoid(design @ weights)
        gradient = design.T @ (probability - outcome) + penalty * weights
        curvature = design.T @ (design * (probability * (1 - probability))[:, None]) + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < _CONVERGED:
            break
    return Logistic(mean, scale, weights[1:], float(weights[0]))

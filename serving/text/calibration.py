"""Calibration of three sentiments on held-out reviews: one slope and an offset each, on the log-probabilities.

Guo et al. 2017 (vector scaling with a common slope). Fitted by Newton's method in numpy; the result goes into the
exported graph.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from serving.text.measure import Floats, Ints

_ITERATIONS: Final = 50
_CONVERGED: Final = 1e-9
_RIDGE: Final = 1e-4
_SMALLEST: Final = 1e-9


class TextCalibration(NamedTuple):
    """``softmax(slope * log(raw) + offsets)``; the last offset is 0."""

    slope: float
    offsets: list[float]

    def apply(self, raw: Floats) -> Floats:
        """Calibrated probabilities [N, 3] of raw ones."""
        return _softmax(self.slope * np.log(np.maximum(raw, _SMALLEST)) + np.asarray(self.offsets))


def calibrate(truth: Ints, raw: Floats) -> TextCalibration:
    """Fit on sentiments [N] and raw probabilities [N, 3], by maximum likelihood with a little ridge."""
    logs = np.log(np.maximum(raw, _SMALLEST))
    # design[n, c, p]: derivative of the score of class c by parameter p (slope, offset of negative, of neutral).
    design = np.zeros((*logs.shape, 3))
    design[:, :, 0] = logs
    design[:, 0, 1] = design[:, 1, 2] = 1.0
    start = np.array([1.0, 0.0, 0.0])
    weights = start.copy()
    wanted = np.eye(3)[truth]
    for _ in range(_ITERATIONS):
        said = _softmax(design @ weights)
        gradient = np.einsum("nc,ncp->p", said - wanted, design) + _RIDGE * len(raw) * (weights - start)
        centred = design - np.einsum("nc,ncp->np", said, design)[:, None]
        curvature = np.einsum("nc,ncp,ncq->pq", said, centred, centred) + _RIDGE * len(raw) * np.eye(3)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < _CONVERGED:
            break
    return TextCalibration(float(weights[0]), [float(weights[1]), float(weights[2]), 0.0])


def _softmax(scores: Floats) -> Floats:
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    made: Floats = shifted / shifted.sum(axis=1, keepdims=True)
    return made

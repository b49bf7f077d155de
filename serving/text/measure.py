"""The figures of sentiment: accuracy, macro F1, AUC of the negative, calibration; with bootstrap intervals.

Called by training for the model card and by its ablation table. Definitions of ranking and calibration are those of
``serving.evaluation.metrics``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from serving.evaluation.metrics import auc, ece

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RESAMPLES: Final = 500
_SHARES: Final = (0.025, 0.975)
_CLASSES: Final = 3


def macro_f1(truth: Ints, said: Ints) -> float:
    """Mean over the three sentiments of the harmonic mean of precision and recall."""
    table = np.bincount(truth * _CLASSES + said, minlength=_CLASSES * _CLASSES).reshape(_CLASSES, _CLASSES)
    hits = table.diagonal()
    return float(np.mean(2 * hits / np.maximum(table.sum(0) + table.sum(1), 1)))


def figures(truth: Ints, probabilities: Floats, said: Ints) -> dict[str, float]:
    """``probabilities`` [N, 3]; ``said`` [N] is the label given, which need not be the most probable one."""
    return {
        "accuracy": float(np.mean(truth == said)),
        "macro_f1": macro_f1(truth, said),
        "auc_negative": auc(truth == 0, probabilities[:, 0]),
        "ece_negative": ece(truth == 0, probabilities[:, 0]),
        "ece_positive": ece(truth == 2, probabilities[:, 2]),
        "log_loss": float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean()),
    }


def intervals(
    truth: Ints,
    measure: Callable[[npt.NDArray[np.intp]], dict[str, float]],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals of what ``measure`` says of drawn rows: of one model, or of a difference."""
    random = np.random.default_rng(seed)
    drawn = [measure(random.integers(len(truth), size=len(truth))) for _ in range(resamples)]
    return {
        name: (
            float(np.quantile([each[name] for each in drawn], _SHARES[0])),
            float(np.quantile([each[name] for each in drawn], _SHARES[1])),
        )
        for name in drawn[0]
    }

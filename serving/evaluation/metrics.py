"""The figures by which a model is judged, in numpy: ranking, probability and retrieval metrics with one definition
each.

``serving.training`` and ``serving.evaluation.report`` call them; nothing here knows where scores come from.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from serving.evaluation.logistic import fit_logistic, sigmoid

Floats = npt.NDArray[np.float64]

ECE_BINS: Final = 10
_NEVER: Final = 1e-6
"""Probabilities are kept so far from 0 and 1 before they become log-odds."""

_NEWTON_STEPS: Final = 100
_CONVERGED: Final = 1e-9


def ranks(values: npt.ArrayLike) -> Floats:
    """1-based ranks, ties at their mean: float64[N]."""
    array = np.asarray(values, np.float64)
    order = np.argsort(array, kind="stable")
    _, first, counts = np.unique(array[order], return_index=True, return_counts=True)
    mean_ranks = np.repeat(first + (counts + 1) / 2, counts)
    result = np.empty(len(array))
    result[order] = mean_ranks
    return result


def auc(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Area under the ROC curve (Mann-Whitney), ties count half; NaN when only one class is present."""
    positive = np.asarray(truth, bool)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    u = ranks(score)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(u / (n_positive * n_negative))


def average_precision(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Mean of the precision at each positive, best score first; tied scores enter together. NaN without positives."""
    positive = np.asarray(truth, bool)
    array = np.asarray(score, np.float64)
    if not positive.any():
        return float("nan")
    order = np.argsort(-array, kind="stable")
    hits = np.cumsum(positive[order])
    last_of_tie = np.append(np.flatnonzero(np.diff(array[order])), len(array) - 1)
    precision = hits[last_of_tie] / (last_of_tie + 1)
    gained = np.diff(hits[last_of_tie], prepend=0)
    return float((precision * gained).sum() / positive.sum())


def brier(truth: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Mean squared difference of probability and outcome."""
    return float(np.mean((np.asarray(probability, np.float64) - np.asarray(truth, np.float64)) ** 2))


def ece(truth: npt.ArrayLike, probability: npt.ArrayLike, bins: int = ECE_BINS) -> float:
    """Expected calibration error over ``bins`` of equal mass (Naeini et al. 2015)."""
    outcome, forecast = np.asarray(truth, np.float64), np.asarray(probability, np.float64)
    parts = np.array_split(np.argsort(forecast, kind="stable"), bins)
    gaps = (len(part) * abs(outcome[part].mean() - forecast[part].mean()) for part in parts if len(part))
    return float(sum(gaps) / len(outcome))


def precision_at(truth: npt.ArrayLike, score: npt.ArrayLike, share: float) -> float:
    """Share of positives among the ``share`` (0 to 1) of rows with the highest scores."""
    order = np.argsort(-np.asarray(score, np.float64), kind="stable")
    count = max(1, round(len(order) * share))
    return float(np.asarray(truth, np.float64)[order[:count]].mean())


def spearman(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Rank correlation; NaN when either side is constant."""
    left, right = ranks(truth), ranks(score)
    if left.std() == 0 or right.std() == 0:
        return float("nan")
    return float(np.corrcoef(left, right)[0, 1])


def gini(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Gini coefficient of ``actual`` ordered by ``predicted``, over that of ``actual`` ordered by itself; at most 1.

    NaN where nothing was bought.
    """
    truth = np.asarray(actual, np.float64)
    if truth.sum() <= 0:
        return float("nan")
    best = _concentration(truth, truth)
    return _concentration(truth, np.asarray(predicted, np.float64)) / best if best > 0 else float("nan")


def _concentration(truth: Floats, order_by: Floats) -> float:
    gained = np.cumsum(truth[np.argsort(-order_by, kind="stable")]) / truth.sum()
    return float(gained.mean() - 0.5 - 0.5 / len(truth))


def calibration_slope(truth: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Slope of a logistic regression of the outcome on the forecast's log-odds (Cox 1958): below 1 says too extreme."""
    forecast = np.clip(np.asarray(probability, np.float64), _NEVER, 1 - _NEVER)
    log_odds = np.log(forecast / (1 - forecast))
    positive = np.asarray(truth, bool)
    if positive.all() or not positive.any() or log_odds.std() == 0:
        return float("nan")
    kept, lost = log_odds[~positive], log_odds[positive]
    if lost.min() >= kept.max() or kept.min() >= lost.max():
        # A forecast that tells all apart has no finite slope; few customers are enough for that.
        return float("nan")
    fitted = fit_logistic(log_odds[:, None], positive, ridge=0.0)
    return float(fitted.weights[0] / fitted.scale[0])


def calibration_intercept(truth: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Calibration in the large (Van Calster et al. 2016): what has to be added to the forecast's log-odds so that their
    mean probability is the share that happened; above 0 says too low. NaN when only one class is present."""
    forecast = np.clip(np.asarray(probability, np.float64), _NEVER, 1 - _NEVER)
    outcome = np.asarray(truth, np.float64)
    share = float(outcome.mean())
    if share in (0.0, 1.0):
        return float("nan")
    log_odds, shift = np.log(forecast / (1 - forecast)), 0.0
    for _ in range(_NEWTON_STEPS):
        said = sigmoid(log_odds + shift)
        step = (share - float(said.mean())) / float((said * (1 - said)).mean())
        # The mean is steepest in its middle: a step that is too long from its flat ends is cut.
        shift += float(np.clip(step, -1.0, 1.0))
        if abs(step) < _CONVERGED:
            break
    return shift


def recalls_at(ranked: Sequence[Sequence[str]], bought: Sequence[frozenset[str]], k: int) -> Floats:
    """Share of each basket that is in the first ``k`` of its ranking: float64[N]; NaN for an empty basket."""
    return np.array(
        [
            len(basket.intersection(items[:k])) / len(basket) if basket else np.nan
            for items, basket in zip(ranked, bought, strict=True)
        ]
    )


def ndcgs_at(ranked: Sequence[Sequence[str]], bought: Sequence[frozenset[str]], k: int) -> Floats:
    """Discounted cumulative gain of the first ``k`` (Järvelin, Kekäläinen 2002) over the best possible: float64[N].

    An item of the basket gains 1; NaN for an empty basket.
    """
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    found = np.full(len(bought), np.nan)
    for row, (items, basket) in enumerate(zip(ranked, bought, strict=True)):
        if basket:
            hits = np.fromiter((item in basket for item in items[:k]), np.float64)
            found[row] = (hits * discounts[: len(hits)]).sum() / discounts[: min(k, len(basket))].sum()
    return found


def recall_at(ranked: Sequence[Sequence[str]], bought: Sequence[set[str]], k: int) -> float:
    """Mean over customers of the share of ``bought`` that is in the first ``k`` of ``ranked``; empty baskets are left
    out."""
    shares = [
        len(basket.intersection(items[:k])) / len(basket)
        for items, basket in zip(ranked, bought, strict=True)
        if basket
    ]
    return float(np.mean(shares)) if shares else float("nan")

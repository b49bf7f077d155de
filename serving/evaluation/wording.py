"""What figures and forecasts are called where people read them: on the terminal and in the report.

Names alone, no figures. Called by ``stream.cli.evaluate_view`` and ``serving.evaluation.page``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Final

from serving.evaluation.bootstrap import Interval
from serving.evaluation.comparison import Figure, Verdict

_FORECASTS: Final = {
    "model": "model",
    "recency": "recency",
    "rfm_logistic": "RFM logistic",
    "bgnbd": "BG/NBD",
    "lightgbm": "LightGBM",
    "last_year_revenue": "last year",
    "popularity_30d": "popularity",
    "own_repeats_x_popularity": "own repeats",
    "item_knn": "item-kNN",
    "ease": "EASE",
    "tf_idf": "TF-IDF",
}
_METRICS: Final = {
    "auc": "AUC",
    "ap": "AP",
    "brier": "Brier",
    "ece": "ECE",
    "precision_top_10": "top 10 %",
    "slope": "slope",
    "spearman": "Spearman",
    "gini": "Gini",
    "bias": "bias",
    "mae": "MAE",
    "mae_capped": "MAE capped",
    "recall_20": "recall@20",
    "ndcg_10": "NDCG@10",
}
_TASKS: Final = {
    "churn_30d_": "churn within 30 days",
    "churn_60d_": "churn within 60 days",
    "churn_90d_": "churn within 90 days",
    "value_180d_": "revenue of 180 days",
    "new_": "next basket, new",
    "": "next basket",
}
VERDICTS: Final[Mapping[Verdict, str]] = {"better": "▲ better", "alike": "· alike", "worse": "▼ worse"}
DISTANCES: Final = "slope, bias: differences are of |ln slope| and |bias|, less is better"
"""What is subtracted where neither more nor less of a figure is better."""


def forecast_name(who: str) -> str:
    """What a forecast is called; a file of predictions by its own name."""
    return _FORECASTS.get(who, PurePath(who).name)


def task_of(metric: str) -> str:
    """Which task a figure is about, such as ``churn within 90 days``."""
    return next(task for prefix, task in _TASKS.items() if metric.startswith(prefix))


def measure_name(metric: str) -> str:
    """The figure within its task, such as ``AUC``."""
    prefix = next(prefix for prefix in _TASKS if metric.startswith(prefix))
    return _METRICS[metric.removeprefix(prefix)]


def by_task(figures: list[Figure]) -> dict[str, list[Figure]]:
    """Figures under their tasks, in the order given."""
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        found.setdefault(task_of(figure.metric), []).append(figure)
    return found


def number(value: float) -> str:
    """A figure to three digits after the point, a large one to fewer; a dash where there is none."""
    return f"{value:,.{_digits(value)}f}" if math.isfinite(value) else "–"


def signed(value: float) -> str:
    """The same with its sign."""
    return f"{value:+,.{_digits(value)}f}" if math.isfinite(value) else "–"


def ends(interval: Interval) -> str:
    """An interval; empty where there is none."""
    return f"{signed(interval.low)} … {signed(interval.high)}" if math.isfinite(interval.low) else ""


def _digits(value: float) -> int:
    return 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 3

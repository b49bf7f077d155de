"""Draws a chart as PNG, for slides and mails, where matplotlib is installed (the extra ``report``).

The page does not need it. Called by ``stream.operations.evaluate_report``.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any, Final

from serving.evaluation.page.chart import Chart

_INCHES: Final = (7.0, 4.8)
_DOTS: Final = 160
_MODEL, _GUIDE, _TEXT = "#0b6e4f", "#8a8f98", "#1c2430"
_OTHERS: Final = ("#c4541c", "#2f6db5", "#8a4fa8", "#a07c00", "#3f8f9c", "#b0356a")
_DASHES: Final = ((6, 3), (2, 3), (9, 3, 2, 3), (12, 4), (1, 4), (5, 2, 1, 2))


def drawable() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def write_png(chart: Chart, path: Path) -> None:
    """Draw ``chart`` into ``path``, on white.

    Raises:
        ModuleNotFoundError: matplotlib is not installed, see ``drawable``.
    """
    # Of its own canvas, not of pyplot: that would choose a screen, and keep every figure.
    figure: Any = importlib.import_module("matplotlib.figure").Figure(figsize=_INCHES, layout="constrained")
    axes = figure.subplots()
    others = 0
    for series in chart.series:
        colour = {"model": _MODEL, "guide": _GUIDE}.get(series.role, _OTHERS[others % len(_OTHERS)])
        dashes = _DASHES[others % len(_DASHES)] if series.role == "other" else (1, 0)
        others += series.role == "other"
        if series.drawn == "points":
            low = [max(0.0, y - end) for y, end in zip(series.y, series.low, strict=True)] if series.low else None
            high = [max(0.0, end - y) for y, end in zip(series.y, series.high, strict=True)] if series.low else None
            spread = [low, high] if series.low else None
            axes.errorbar(series.x, series.y, yerr=spread, fmt="o", color=colour, label=series.name, capsize=2)
            continue
        width = 2.4 if series.role == "model" else 1.3
        axes.plot(series.x, series.y, color=colour, dashes=dashes, linewidth=width, label=series.name)
        if series.low:
            axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.15, linewidth=0)
    for axis, ticks, scale, label, limits in (
        (chart.x, axes.set_xticks, axes.set_xscale, axes.set_xlabel, axes.set_xlim),
        (chart.y, axes.set_yticks, axes.set_yscale, axes.set_ylabel, axes.set_ylim),
    ):
        if axis.logarithmic:
            scale("log")
        ticks(list(axis.ticks), list(axis.tick_labels))
        label(axis.label, color=_TEXT)
        limits(axis.ticks[0], axis.ticks[-1])
    axes.minorticks_off()
    axes.set_title(chart.title, loc="left", color=_TEXT, fontsize=11)
    axes.grid(axis="y", color="#dde1e6", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=_DOTS, metadata={"Description": chart.description})

"""A plot as data: lines, points and intervals over two axes. Two modules draw it, one as SVG and one as PNG.

It knows no model and no drawing. Made by ``serving.evaluation.page.plots``; drawn by ``svg`` and ``png``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple


class Series(NamedTuple):
    """Points to be joined, or to stand alone, with their intervals."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    """Lower ends of the intervals, one a point; empty: none."""
    high: Sequence[float] = ()
    drawn: Literal["line", "points"] = "line"
    role: Literal["model", "other", "guide"] = "other"
    """The model stands out; a guide is what nobody said, such as the diagonal."""


class Axis(NamedTuple):
    """What lies along one side."""

    label: str
    ticks: Sequence[float]
    """Ascending; the first and the last are the ends of the axis."""
    tick_labels: Sequence[str]
    logarithmic: bool = False


class Chart(NamedTuple):
    """One plot."""

    name: str
    """Of its file, such as ``calibration-90d``."""
    title: str
    description: str
    """What it shows in words, for whoever does not see it."""
    x: Axis
    y: Axis
    series: Sequence[Series]

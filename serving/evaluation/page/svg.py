"""Draws a chart as inline SVG: no script, no font and no colour of its own, so it follows the page in light, dark and
print.

Series differ in dash and marker too, not in colour alone. Called by ``serving.evaluation.page.document``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from serving.evaluation.page.chart import Axis, Chart, Series

_WIDTH: Final = 520.0
_LEFT, _RIGHT, _TOP, _HEIGHT = 62.0, 508.0, 14.0, 290.0
_LEAST_COLUMN, _LEGEND_ROW = 120.0, 20.0
_LETTER: Final = 7.4
"""Width of a letter of the legend, at most in the mean."""
_DASHES: Final = ("6 3", "2 3", "9 3 2 3", "12 4", "1 4", "5 2 1 2")


def svg(chart: Chart) -> str:
    """The chart as an ``<svg>`` element with its title and description inside."""
    parts = [*_grid(chart)]
    others = 0
    legend: list[tuple[str, str]] = []
    for series in chart.series:
        look = _look(series, others)
        others += series.role == "other"
        parts += _drawn(series, chart, look)
        legend.append((_sample(series, look), series.name))
    column = max(_LEAST_COLUMN, 44 + _LETTER * max((len(name) for _, name in legend), default=0))
    columns = max(1, int((_WIDTH - 10) // column))
    rows = math.ceil(len(legend) / columns)
    top = _TOP + _HEIGHT + 54
    for place, (sample, name) in enumerate(legend):
        x, y = 10 + place % columns * column, top + place // columns * _LEGEND_ROW
        parts.append(f'<g transform="translate({x:.0f} {y:.0f})">{sample}<text x="34" y="4">{escape(name)}</text></g>')
    height = top + rows * _LEGEND_ROW
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" aria-labelledby="{chart.name}-t {chart.name}-d" '
        f'xmlns="http://www.w3.org/2000/svg"><title id="{chart.name}-t">{escape(chart.title)}</title>'
        f'<desc id="{chart.name}-d">{escape(chart.description)}</desc>{"".join(parts)}</svg>'
    )


def _place(value: float, axis: Axis, start: float, end: float) -> float:
    low, high = axis.ticks[0], axis.ticks[-1]
    if axis.logarithmic:
        value, low, high = math.log(max(value, low)), math.log(low), math.log(high)
    return start + (min(max(value, low), high) - low) / (high - low) * (end - start)


def _x(value: float, chart: Chart) -> float:
    return _place(value, chart.x, _LEFT, _RIGHT)


def _y(value: float, chart: Chart) -> float:
    return _place(value, chart.y, _TOP + _HEIGHT, _TOP)


def _grid(chart: Chart) -> list[str]:
    bottom = _TOP + _HEIGHT
    parts = []
    for tick, label in zip(chart.y.ticks, chart.y.tick_labels, strict=True):
        y = _y(tick, chart)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    for tick, label in zip(chart.x.ticks, chart.x.tick_labels, strict=True):
        x = _x(tick, chart)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(label)}</text>')
    middle = _TOP + _HEIGHT / 2
    parts.append(
        f'<text x="{(_LEFT + _RIGHT) / 2}" y="{bottom + 37}" text-anchor="middle">{escape(chart.x.label)}</text>'
    )
    parts.append(
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(chart.y.label)}</text>'
    )
    return parts


def _look(series: Series, number: int) -> str:
    """Class and dash of a series; ``number`` counts those that are neither the model's nor guides."""
    if series.role == "model":
        return 'class="model"'
    if series.role == "guide":
        return 'class="guide"'
    return f'class="other o{number % len(_DASHES)}" stroke-dasharray="{_DASHES[number % len(_DASHES)]}"'


def _drawn(series: Series, chart: Chart, look: str) -> list[str]:
    points = [(_x(x, chart), _y(y, chart)) for x, y in zip(series.x, series.y, strict=True) if math.isfinite(y)]
    if series.drawn == "line":
        band = _band(series, chart) if series.low else ""
        return [band, f'<path {look} fill="none" d="{_path(points)}"/>']
    parts = []
    for x, low, high in zip(series.x, series.low, series.high, strict=True) if series.low else ():
        if math.isfinite(low):
            place = _x(x, chart)
            parts.append(
                f'<line {look} x1="{place:.1f}" x2="{place:.1f}" y1="{_y(low, chart):.1f}" y2="{_y(high, chart):.1f}"/>'
            )
    return [*parts, *(f'<circle {look} cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points)]


def _band(series: Series, chart: Chart) -> str:
    known = [
        (x, low, high) for x, low, high in zip(series.x, series.low, series.high, strict=True) if math.isfinite(low)
    ]
    outline = [(_x(x, chart), _y(high, chart)) for x, _, high in known]
    outline += [(_x(x, chart), _y(low, chart)) for x, low, _ in reversed(known)]
    return f'<path class="band" d="{_path(outline)}Z"/>' if known else ""


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "".join(f"{'L' if place else 'M'}{x:.1f} {y:.1f}" for place, (x, y) in enumerate(points))


def _sample(series: Series, look: str) -> str:
    if series.drawn == "points":
        return f'<line {look} x1="14" x2="14" y1="-8" y2="8"/><circle {look} cx="14" cy="0" r="4"/>'
    return f'<line {look} x1="0" x2="28" y1="0" y2="0"/>'

"""The tables of the report as HTML: the model against the best baseline, everybody, segments, calibration.

Verdicts come from intervals and are said in words and by a sign, not by colour alone. Called by
``serving.evaluation.page.document``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from serving.evaluation.comparison import MODEL, Figure
from serving.evaluation.curves import Calibration
from serving.evaluation.segments import Segment
from serving.evaluation.wording import DISTANCES, VERDICTS, by_task, ends, forecast_name, measure_name, number, signed

_FOREST_WIDTH, _FOREST_MIDDLE = 176.0, 88.0


def table(caption: str, columns: Sequence[str], rows: Iterable[str]) -> str:
    """A table with a caption and headed columns; ``rows`` are ``<tr>`` elements."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def headline(figures: list[Figure]) -> str:
    """Every figure against the best baseline of its row."""
    rows: list[str] = []
    for task, own in by_task(figures).items():
        rows.append(f'<tr class="task"><th scope="rowgroup" colspan="7">{escape(task)}</th></tr>')
        rows += map(_against_the_best, own)
    columns = ("", "model", "best baseline", "", "difference", "95 %", "verdict")
    return table(
        "The model and the best baseline of each row; difference with its 95 % interval, paired by customer. "
        f"Right of the line is better. {DISTANCES[0].upper()}{DISTANCES[1:]}.",
        columns,
        rows,
    )


def _against_the_best(figure: Figure) -> str:
    mine = number(figure.values.get(MODEL, math.nan))
    name = f'<th scope="row">{escape(measure_name(figure.metric))}</th>'
    if not figure.best_baseline:
        return f'<tr>{name}<td>{mine}</td><td colspan="5" class="name soft">no baseline says this</td></tr>'
    best = number(figure.values[figure.best_baseline])
    return (
        f'<tr>{name}<td>{mine}</td><td>{best}</td><td class="name">{escape(forecast_name(figure.best_baseline))}</td>'
        f"<td>{signed(figure.difference)}</td><td>{_forest(figure)}</td>{verdict(figure)}</tr>"
    )


def verdict(figure: Figure) -> str:
    """A cell that says how sure the difference is."""
    return f'<td class="name {figure.verdict}">{VERDICTS[figure.verdict]}</td>'


def _forest(figure: Figure) -> str:
    """The interval as a line beside zero, and in words; to the right is better whichever way the figure runs."""
    low, high = figure.interval
    if not math.isfinite(low):
        return ""
    sign = 1.0 if figure.higher_is_better else -1.0
    reach = max(abs(low), abs(high), abs(figure.difference), 1e-9)

    def place(value: float) -> float:
        return _FOREST_MIDDLE + sign * value / reach * (_FOREST_MIDDLE - 6)

    return (
        f'{escape(ends(figure.interval))} <svg class="forest" viewBox="0 0 {_FOREST_WIDTH:.0f} 18" aria-hidden="true">'
        f'<line class="zero" x1="{_FOREST_MIDDLE}" x2="{_FOREST_MIDDLE}" y1="1" y2="17"/>'
        f'<line class="{figure.verdict}" stroke-width="2.5" x1="{place(low):.1f}" x2="{place(high):.1f}" '
        f'y1="9" y2="9"/>'
        f'<circle class="{figure.verdict}" cx="{place(figure.difference):.1f}" cy="9" r="4"/></svg>'
    )


def everybody(task: str, figures: list[Figure]) -> str:
    """All forecasts of one task, a row each, the model first."""
    who = dict.fromkeys(name for figure in figures for name in figure.values)
    rows = []
    for name in who:
        cells = "".join(f"<td>{number(figure.values.get(name, math.nan))}</td>" for figure in figures)
        ours = ' class="ours"' if name == MODEL else ""
        rows.append(f'<tr{ours}><th scope="row">{escape(forecast_name(name))}</th>{cells}</tr>')
    return table(task, ("", *(measure_name(figure.metric) for figure in figures)), rows)


def segment_table(segments: list[Segment]) -> str:
    """A row a segment, under its dimension."""
    rows: list[str] = []
    dimension = ""
    for segment in segments:
        if segment.dimension != dimension:
            dimension = segment.dimension
            rows.append(f'<tr class="task"><th scope="rowgroup" colspan="9">{escape(dimension)}</th></tr>')
        rows.append(_segment(segment))
    horizon = segments[0].horizon.removesuffix("d") if segments else ""
    columns = ("", "customers", "churned", "said", "AUC", "best", "95 %", "ranking", "Brier score")
    return table(
        f"Churn within {horizon} days, against the best baseline of each segment. Too few customers, or all alike: no "
        "figure.",
        columns,
        rows,
    )


def _segment(segment: Segment) -> str:
    head = (
        f'<tr><th scope="row">{escape(segment.name)}</th><td>{segment.customers:,}</td><td>{segment.base_rate:.3f}</td>'
        f"<td>{segment.said:.3f}</td>"
    )
    auc, brier = segment.figure("auc"), segment.figure("brier")
    if auc is None or brier is None or not auc.best_baseline:
        return head + '<td colspan="5"></td></tr>'
    best = f"{number(auc.values[auc.best_baseline])} {escape(forecast_name(auc.best_baseline))}"
    return (
        f"{head}<td>{number(auc.values[MODEL])}</td><td>{best}</td><td>{escape(ends(auc.interval))}</td>"
        f"{verdict(auc)}{verdict(brier)}</tr>"
    )


def calibration_table(found: list[Calibration]) -> str:
    """Slope and intercept with intervals."""
    rows = [
        f'<tr><th scope="row">{each.horizon.removesuffix("d")} days</th>'
        f"<td>{each.slope:.2f}</td><td>{each.slope_interval.low:.2f} … {each.slope_interval.high:.2f}</td>"
        f"<td>{_signed(each.intercept)}</td><td>{_signed(each.intercept_interval.low)} … "
        f"{_signed(each.intercept_interval.high)}</td></tr>"
        for each in found
    ]
    columns = ("", "slope", "95 %", "intercept", "95 %")
    return table("A slope of 1 and an intercept of 0 are perfect; a slope of .9 to 1.1 is good.", columns, rows)


def _signed(value: float) -> str:
    # Adding nothing makes a plus of the minus before a zero.
    return f"{round(value, 2) + 0.0:+.2f}"

"""What `tidemark evaluate` prints: the model beside the baselines, segments, and what alerts were worth, in 80 columns.

It prints what it is given and measures nothing. Called by `stream.cli.evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from serving.evaluation.comparison import MODEL
from serving.evaluation.wording import DISTANCES, VERDICTS, by_task, ends, forecast_name, measure_name, number, signed

if TYPE_CHECKING:
    from rich.console import Console

    from serving.evaluation.alerts import AlertWorth
    from serving.evaluation.comparison import Figure
    from serving.evaluation.report import Evaluation
    from serving.evaluation.segments import Segment
    from stream.operations.evaluate import ModelEvaluation
    from stream.operations.evaluate_alerts import AlertEvaluation

_STYLES = {"better": "green", "alike": "dim", "worse": "red"}


def print_figures(console: Console, found: ModelEvaluation) -> None:
    """Every cut-off: the model against the best baseline of each row, then all baselines, then segments if asked
    for."""
    card = found.card
    console.print(f"model {card.name} {card.version}, trained on what was known until {card.known_until[:10]}")
    for each in found.cutoffs:
        rates = ", ".join(f"{horizon} {rate:.3f}" for horizon, rate in each.base_rates.items())
        console.print(
            f"\n[bold]{each.customers:,} customers at {each.cutoff}[/bold]" + (f"; churn {rates}" if rates else "")
        )
        if not each.figures:
            console.print("nothing follows it to compare with; --predictions OUT writes what the model says")
            continue
        if not found.unseen(each.cutoff):
            console.print("[yellow]seen in training: these figures flatter the model[/yellow]")
        console.print(_against_the_best(each))
        console.print(f"[dim]{DISTANCES}[/dim]")
        for task, figures in by_task(each.figures).items():
            console.print(f"\n{task}: everybody")
            console.print(_everybody(figures))
        if each.details is not None:
            console.print("\nchurn by segment, beside its best baseline: ▲ better, · alike, ▼ worse")
            console.print(_segments(each.details.segments))
    for name in found.missing:
        console.print(f"\n{forecast_name(name)} is not compared: it is not installed (pip install 'tidemark\\[train]')")


def _table(*columns: str, left: Collection[str] = ("",)) -> Table:
    """Columns to the right but for those of ``left``, a space apart."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right", no_wrap=True)
    return table


def _against_the_best(each: Evaluation) -> Table:
    table = _table("", "model", "best", "baseline", "difference, 95 %", "", left=("", "baseline"))
    for task, figures in by_task(each.figures).items():
        table.add_row(Text(task, style="bold"))
        for figure in figures:
            table.add_row(f"  {measure_name(figure.metric)}", *_compared(figure))
    return table


def _compared(figure: Figure) -> list[str | Text]:
    if not figure.best_baseline:
        return [number(figure.values.get(MODEL, math.nan)), "", "", "", ""]
    return [
        number(figure.values[MODEL]),
        number(figure.values[figure.best_baseline]),
        forecast_name(figure.best_baseline),
        f"{signed(figure.difference)}  {ends(figure.interval)}",
        Text(VERDICTS[figure.verdict], style=_STYLES[figure.verdict]),
    ]


def _everybody(figures: list[Figure]) -> Table:
    table = _table("", *(measure_name(figure.metric) for figure in figures))
    who = dict.fromkeys(name for figure in figures for name in figure.values)
    for name in who:
        table.add_row(forecast_name(name), *(number(figure.values.get(name, math.nan)) for figure in figures))
    return table


def _segments(segments: list[Segment]) -> Table:
    table = _table("", "customers", "churned", "said", "AUC", "best", "95 %", "ranks", "Brier")
    dimension = ""
    for segment in segments:
        if segment.dimension != dimension:
            dimension = segment.dimension
            table.add_row(Text(dimension, style="bold"))
        auc, brier = segment.figure("auc"), segment.figure("brier")
        row: list[str | Text] = [f"{segment.customers:,}", f"{segment.base_rate:.3f}", f"{segment.said:.3f}"]
        if auc is not None and brier is not None:
            compared = _compared(auc)
            row += [*compared[:2], ends(auc.interval)]
            row += [Text(VERDICTS[each.verdict][0], style=_STYLES[each.verdict]) for each in (auc, brier)]
        table.add_row(f"  {segment.name}", *row)
    return table


def print_alerts(console: Console, found: AlertEvaluation) -> None:
    """A row a figure, a column a kind of alert."""
    table = _table("", *(kind.replace("_", " ") for kind in found.worth))
    for name, figure in _ALERT_ROWS.items():
        table.add_row(name, *(figure(worth) for worth in found.worth.values()))
    console.print(table)


def _between(low: float, high: float, digits: int) -> str:
    return f"{low:.{digits}f} … {high:.{digits}f}" if math.isfinite(low) else "–"


_ALERT_ROWS: dict[str, Callable[[AlertWorth], str]] = {
    "alerts": lambda worth: f"{worth.counted:,}",
    "precision": lambda worth: number(worth.precision),
    "  95 %": lambda worth: _between(*worth.precision_interval, 3),
    "base rate": lambda worth: number(worth.base_rate),
    "lift over the base rate": lambda worth: f"{worth.lift:.2f}",
    "  95 % ": lambda worth: _between(*worth.lift_interval, 2),
    "recall": lambda worth: number(worth.recall),
    "per 1,000 active and week": lambda worth: f"{worth.per_1000_a_week:.1f}",
    "lead, days: median": lambda worth: f"{worth.lead_days.median:+.0f}" if worth.counted else "–",
    "  quartiles": lambda worth: f"{worth.lead_days.low:+.0f} … {worth.lead_days.high:+.0f}" if worth.counted else "–",
    "the rule, as many alerts": lambda worth: number(worth.rule_precision),
    "  silent for own mean gaps": lambda worth: f"{worth.rule_factor:.2f}",
    "difference to the rule": lambda worth: signed(worth.precision - worth.rule_precision),
    "  95 %  ": lambda worth: ends(worth.difference) or "–",
}


def alert_notes(found: AlertEvaluation) -> list[str]:
    """How the table is to be read, and how far its figures are out of sample."""
    seen = found.customers - found.unseen_customers
    return [
        f"active customers, one row an episode; right: no order within {found.horizon_days} days; intervals draw "
        "customers",
        "lead: from the alert to the customer's own expected next order, one own mean gap after the last (for "
        "one-time buyers the shop's median gap to the second order); negative: it was overdue",
        (
            f"customers: {found.unseen_customers:,} unseen in training, {seen:,} seen"
            if found.unseen_customers
            else "customers: all seen in training"
        )
        + f"; months: {'unseen' if found.unseen_months else 'seen'} (it knew orders until {found.known_until[:10]})",
    ]

"""What `tidemark models` shows of a card, of a comparison, of the open alerts, and of a switch, at 80 columns.

The commands are in `models.py`, which alone calls this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from stream.cli.context import output

if TYPE_CHECKING:
    from serving.gate.verdict import Verdict
    from serving.model_card import ModelCard
    from stream.operations.impact import Impact


def show_card(card: ModelCard) -> None:
    """What is known of a version."""
    from rich.table import Table

    console = output()
    console.print(f"[bold]{card.name} {card.version}[/bold], features {card.feature_schema}, fold {card.fold_version}")
    for file in card.data:
        console.print(
            f"data: {file.name}, {file.events:,} events of {file.customers:,} customers, {file.first_event[:10]} to "
            f"{file.last_event[:10]}"
        )
    for licence in card.licences:
        console.print(f"licence of the data: {licence.title}, {licence.authors}, {licence.licence}")
    console.print(
        f"trained on cut-offs {card.training.first} to {card.training.last}, calibrated until {card.calibration.last}, "
        f"{card.examples:,} examples"
    )
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("figure", "model", "less the best baseline, 95 %"):
        table.add_column(title, justify="right" if title == "model" else "left", overflow="fold")
    for metric, figures in card.metrics.items():
        interval = ""
        if figures.get("difference") is not None:
            interval = f"{figures['difference']:+.3f} ({figures['low']:+.3f} … {figures['high']:+.3f})"
        table.add_row(metric.replace("_", " "), f"{figures['model']:.3f}", interval)
    console.print(table)
    console.print("[dim]figures of networks with the same settings that knew nothing from after the cut-off[/dim]")


def show_verdict(verdict: Verdict) -> None:
    """Every check of the gate, and for whom the version is worse."""
    from rich.table import Table

    console = output()
    console.print(f"[bold]{verdict.candidate}[/bold] against {verdict.present}")
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in verdict.checks:
        said = "[green]ok[/green]" if check.passed else "[yellow]?[/yellow]" if check.undecided else "[red]no[/red]"
        table.add_row(said, check.name, check.finding)
    console.print(table)
    if verdict.cutoffs:
        console.print(
            f"[dim]{verdict.customers:,} customers that neither has seen, at {', '.join(verdict.cutoffs)}; in "
            "brackets 95 % of the difference, paired by customer[/dim]"
        )
    for segment in verdict.segments:
        worse = [difference for difference in segment.differences if difference.worse]
        for difference in worse:
            console.print(
                f"[red]worse[/red] for the {segment.customers:,} customers with {segment.baskets} baskets: "
                f"{difference.metric.replace('_', ' ')} {difference.candidate:.3f}, the present one "
                f"{difference.present:.3f} ({difference.interval.low:+.3f} to {difference.interval.high:+.3f})"
            )


def show_impact(found: Impact, share: float, ramp_ms: int) -> None:
    """What would become of the open alerts, and how long the switch takes (milliseconds) because of it."""
    stay = found.open - found.changing - found.unknown
    output().print(
        f"{found.open:,} alerts are open: {found.resolved:,} would end, {found.severity:,} change their severity, "
        f"{found.moved:,} be published with another score, {stay:,} stay as they are"
        + (f", {found.unknown:,} cannot be told" if found.unknown else "")
    )
    least_ms = found.ramp_ms(share)
    if ramp_ms > least_ms:
        output().print(f"the switch takes {_duration(ramp_ms)}, as was asked")
    elif ramp_ms:
        output().print(f"so that at most {share:.0%} of them change an hour, the switch takes {_duration(ramp_ms)}")


def show_switch(version: str, effective_at: int, ramp_ms: int) -> None:
    """When a version comes into force; epoch milliseconds and milliseconds."""
    from stream.contracts.times import to_rfc3339

    ramp = f", and everybody {_duration(ramp_ms)} later" if ramp_ms else ""
    typer.echo(f"version {version} is in force from {to_rfc3339(effective_at)} on{ramp}")


def _duration(milliseconds: int) -> str:
    minutes = round(milliseconds / 60_000)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"

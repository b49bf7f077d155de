"""How the demo's report looks: 80 columns, figures first, then one alert and one list of recommendations in full.

Called by `demo.py` alone; the report is made in `stream.operations.demo_report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stream.operations.demo import LIVE_RATE
from stream.operations.observe import percentile
from stream.operations.rendering import minute
from stream.operations.sentences import recommended_because, sentence

if TYPE_CHECKING:
    from rich.console import Console

    from stream.contracts.alerts import AlertEvent
    from stream.operations.demo_report import DemoReport
    from stream.operations.observe import SeenAlert

STATUSES = ("raised", "updated", "resolved", "expired", "corrected")
WIDTH = 80


def show(report: DemoReport, console: Console) -> None:
    """Print the report."""
    console.print()
    console.rule("[bold]Tidemark demo[/bold]", align="left")
    console.print(_figures(report))
    console.print()
    console.print(_alerts(report))
    console.print(f"[dim]{report.held_out:,} of these transitions are in the control group's topic[/dim]")
    if report.alert is not None:
        console.print(_alert(report.alert, report.names))
    if report.recommendation is not None:
        console.print(_recommendation(report))
    console.print(_worth(report))


def _figures(report: DemoReport) -> Table:
    run = report.run
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    span = f"{minute(report.first_event)[:10]} to {minute(report.last_event)[:10]}"
    table.add_row("events read", f"{report.records:,}, {report.customers:,} customers, {span}")
    table.add_row(
        "speed",
        f"{report.history_records / run.folding_seconds:,.0f} events/s folded, "
        f"{report.history_records / run.deciding_seconds:,.0f} events/s up to scores and alerts",
    )
    by = f" ({report.fallbacks:,} by the fallback)" if report.fallbacks else ""
    table.add_row("scores", f"{report.scores:,} by model {report.model}{by}")
    letters = ", ".join(f"{count} {code}" for code, count in report.dead_letters.items()) or "none"
    table.add_row("dead letters", f"{sum(report.dead_letters.values())}: {letters}")
    table.add_row("duplicates", f"{report.duplicates} sent, none counted twice")
    table.add_row("event to alert", _latency(run.live, f"at {LIVE_RATE:g} events/s"))
    table.add_row("", _latency(run.replayed, "at full speed, queueing included"))
    return table


def _latency(seen: list[SeenAlert], pace: str) -> str:
    if not seen:
        return f"no alert {pace}"
    latencies = [alert.latency_ms for alert in seen]
    half, most = percentile(latencies, 0.5), percentile(latencies, 0.99)
    return f"p50 {half:,.0f} ms, p99 {most:,.0f} ms {pace} ({len(seen):,} alerts)"


def _alerts(report: DemoReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("alerts", min_width=16)
    for status in STATUSES:
        table.add_column(status, justify="right")
    for kind, counts in report.transitions.items():
        table.add_row(kind.replace("_", " "), *(f"{counts.get(status, 0):,}" for status in STATUSES))
    return table


def _alert(envelope: AlertEvent, names: dict[str, str]) -> Panel:
    alert = envelope.data
    body = Text()
    body.append(
        f"{minute(alert.as_of)}  customer {alert.customer_id}: {alert.severity} {alert.kind.replace('_', ' ')}\n"
    )
    body.append(
        f"No order within {alert.horizon_days} days: {alert.score:.0%} likely (of comparable customers "
        f"{alert.base_rate:.0%}; raised from {alert.raise_threshold:.0%}).\n"
    )
    body.append(f"{alert.value_at_risk.amount:,.2f} {alert.value_at_risk.currency} at risk. Because:\n")
    for reason in alert.reasons:
        body.append(f"  {reason.contribution:+.2f}  {sentence(reason)}\n")
    params = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in alert.suggested_action.params.items())
    body.append(
        f"Suggested: {alert.suggested_action.code.replace('_', ' ')}" + (f" ({params})" if params else "") + "\n"
    )
    evidence = alert.evidence
    body.append(
        f"Made from {evidence.topic} {evidence.partition}:{evidence.first_offset} to {evidence.last_offset}\n", "dim"
    )
    body.append(f"Model {alert.model.name} {alert.model.version}, policy {alert.policy_version}\n", "dim")
    body.append(f"Id {envelope.id}", "dim")
    return Panel(body, title="one alert", title_align="left", width=WIDTH)


def _recommendation(report: DemoReport) -> Panel:
    found = report.recommendation
    assert found is not None  # noqa: S101 - the caller looked
    table = Table.grid(padding=(0, 2))
    for item in found.items:
        name = report.names.get(item.item_id, item.item_id).capitalize()
        because = recommended_because(item.reason, lambda item_id: report.names.get(item_id, item_id).capitalize())
        table.add_row(str(item.index + 1), name, Text(because, style="dim"))
    return Panel(table, title=f"recommended to customer {found.customer_id}", title_align="left", width=WIDTH)


def _worth(report: DemoReport) -> Panel:
    worth = report.worth
    body = Text()
    if not worth.counted:
        body.append(f"None of {worth.fired:,} alerts has a known end yet.")
        return Panel(body, title="what the alerts were worth", title_align="left", width=WIDTH)
    body.append(
        f"{worth.counted:,} of {worth.fired:,} alerts came while the customer was active and have a known end.\n"
    )
    body.append(f"{worth.precision:6.1%}  of them were right: no order within {worth.horizon_days} days\n", "bold")
    body.append(f"{worth.base_rate:6.1%}  of all customers active at those times did not order either\n")
    body.append(
        f"{worth.rule_precision:6.1%}  is what as many alerts of the rule “silent for {worth.rule_factor:.1f} times "
        "the own mean gap” reach"
    )
    return Panel(body, title="what the alerts were worth", title_align="left", width=WIDTH)

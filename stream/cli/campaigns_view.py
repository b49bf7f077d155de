"""What `tidemark campaigns report` shows, at 80 columns. The command is in `campaigns.py`, which alone calls this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.cli.context import output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from stream.operations.campaigns.report import Campaign, Reached, Report, Row
    from stream.operations.campaigns.statistics import Difference, Effect


def show_report(found: Report) -> None:
    """Every draw: whether it can be believed, the two tables, and whether there are enough customers."""
    console = output()
    for campaign in found.campaigns:
        _show(console, campaign, found)
        console.print()
    if found.customers_left_out or found.alerts_left_out:
        console.print("[dim]left out:[/dim]")
    for reason, count in found.customers_left_out.items():
        console.print(f"  {count:,} customers: {reason}", markup=False)
    for mode, count in found.alerts_left_out.items():
        console.print(f"  {count:,} alerts: {mode}", markup=False)
    windows = f"{found.days} days" if found.days is not None else "as many days as the alert looked ahead"
    until = found.until[:16].replace("T", " ")
    console.print(
        f"[dim]Windows of {windows} from a customer's first alert, over by {until} UTC. "
        "Intervals are 95 %: of twenty rows, one misses by chance. Everybody counts in the arm drawn, reached "
        "or not.[/dim]"
    )


def _show(console: Console, campaign: Campaign, found: Report) -> None:
    everybody = campaign.rows[0]
    share = f"hold-out {100 * campaign.share:g} %"
    console.print(f"[bold]experiment {campaign.experiment}, salt {campaign.salt_version}, {share}[/bold]")
    console.print(f"first alerts from {campaign.first_raise[:10]} to {campaign.last_raise[:10]}")
    for sentence in _cautions(campaign):
        console.print(sentence)
    if everybody.buyers is None:
        console.print(f"[yellow]{_incomparable(campaign)}[/yellow]")
        return
    console.print()
    _table(console, "share who bought, %", [(row, row.buyers) for row in campaign.rows], 100.0)
    console.print()
    _table(console, f"{found.currency} a customer", [(row, row.revenue) for row in campaign.rows], 1.0)
    if campaign.cap is not None:
        console.print(f"[dim]a customer counts for {campaign.cap:,.2f} {found.currency} at most[/dim]")
    console.print()
    if everybody.reached is not None:
        console.print(_reached(everybody, everybody.reached, found.currency))
    for sentence in _sufficiency(campaign, found.detect):
        console.print(sentence)


def _cautions(campaign: Campaign) -> Iterator[str]:
    everybody, draw = campaign.rows[0], campaign.draw
    treated, holdout = everybody.treated, everybody.holdout
    if campaign.mismatched and draw is not None:
        yield (
            f"[red]the arms are not as they were to be drawn: {holdout.customers + holdout.not_over:,} customers are "
            f"held out, {draw.expected:,.0f} should be (p {draw.p:.1g}). Believe nothing below, and find out who is "
            "missing:[/red] a secret that was changed, alerts that are gone, erasures in one arm"
        )
    elif draw is not None:
        held = holdout.customers + holdout.not_over
        yield f"drawn as it should be: {held:,} held out, {draw.expected:,.0f} expected (p {draw.p:.2f})"
    if treated.not_over or holdout.not_over:
        yield f"not over yet: the windows of {treated.not_over:,} treated and {holdout.not_over:,} of the hold-out"
    if treated.corrected or holdout.corrected:
        yield (
            f"taken back by a repair, and counted all the same: {treated.corrected:,} treated, {holdout.corrected:,} "
            "of the hold-out"
        )
    if campaign.moved:
        yield f"in both arms, since the share was changed: {campaign.moved:,}; the first alert counts"
    if holdout.reached:
        yield f"[yellow]{holdout.reached:,} of the hold-out were sent something all the same[/yellow]"


def _incomparable(campaign: Campaign) -> str:
    treated, holdout = campaign.rows[0].treated, campaign.rows[0].holdout
    if not campaign.share:
        return (
            "there is no hold-out (policies.holdout_share is 0): nothing tells what would have happened without alerts"
        )
    if not treated.customers and not holdout.customers:
        return "no window is over yet: look again later, or give fewer --days"
    missing = "of the hold-out" if treated.customers else "treated"
    return f"nobody {missing} has a window that is over: there is nothing to compare with"


def _table(console: Console, title: str, rows: list[tuple[Row, Difference | None]], scale: float) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(title, overflow="fold", max_width=26)
    for name in ("of", "treated", "of", "hold-out"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("difference", justify="right", no_wrap=True)
    for row, seen in rows:
        counts = [f"{arm.customers:,}" for arm in (row.treated, row.holdout)]
        name = "all" if row.by == "all" else f"{row.by} {row.value}"
        if seen is None:
            table.add_row(name, counts[0], "", counts[1], "", "too few")
            continue
        said = f"{scale * seen.difference:+,.1f} ({scale * seen.low:+,.1f} … {scale * seen.high:+,.1f})"
        colour = "green" if seen.low > 0 else "red" if seen.high < 0 else ""
        table.add_row(
            name,
            counts[0],
            f"{scale * seen.treated:,.1f}",
            counts[1],
            f"{scale * seen.holdout:,.1f}",
            f"[{colour}]{said}[/{colour}]" if colour else said,
        )
    console.print(table)


def _reached(row: Row, reached: Reached, currency: str) -> str:
    share = f"{row.treated.reached:,} of {row.treated.customers:,} treated were reached"
    if reached.buyers is None:
        return f"{share}: too few to tell the effect on them"
    said = f"{_told(reached.buyers, 100.0)} points bought"
    if reached.revenue is not None:
        said += f", {_told(reached.revenue, 1.0)} {currency}"
    return f"{share}; effect on those: {said}"


def _told(effect: Effect, scale: float) -> str:
    return f"{scale * effect.effect:+,.1f} ({scale * effect.low:+,.1f} … {scale * effect.high:+,.1f})"


def _sufficiency(campaign: Campaign, detect: float | None) -> Iterator[str]:
    seen = campaign.rows[0].buyers
    if seen is None or campaign.enough is None:
        return
    if seen.detectable is not None:
        least = f"{100 * seen.detectable:.1f} points"
        yield f"so many customers show a difference of {least} or more, in four of five cases"
    if detect is None:
        known = campaign.rows[0].treated.customers + campaign.rows[0].holdout.customers
        if campaign.enough:
            yield "[green]enough: an interval leaves zero out[/green]"
        elif campaign.needed is None:
            yield "not enough to tell a difference"
        else:
            yield (
                f"not enough yet: a difference as it is asks for {campaign.needed:,} customers, both arms "
                f"together; there are {known:,}"
            )
        return
    needed = "" if campaign.needed is None else f" of {campaign.needed:,} customers needed, both arms together"
    verdict = "[green]enough[/green]" if campaign.enough else "not enough yet"
    known = campaign.rows[0].treated.customers + campaign.rows[0].holdout.customers
    yield f"{verdict} for {100 * detect:g} points: {known:,}{needed}"

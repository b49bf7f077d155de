"""What `tidemark replay` and `tidemark compare` show, at 80 columns.

The commands are in `replay.py` and `compare.py`, which alone call this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stream.cli.context import output

if TYPE_CHECKING:
    from rich.table import Table

    from stream.contracts.topics import TopicNames
    from stream.operations.replays.compare import Comparison, Example
    from stream.operations.replays.record import Replay
    from stream.operations.replays.run import Ran


def show_ran(ran: Ran) -> None:
    """How a run went, and what to do next."""
    replay = ran.replay
    console = output()
    what = "events" if replay.source == "events" else "questions"
    waited = f", {ran.held_back_s:,.0f} s of them waiting for the live workers" if ran.held_back_s else ""
    console.print(f"[bold]{replay.id}[/bold]: {replay.records:,} {what} in {ran.seconds:,.1f} s{waited}")
    if replay.asked:
        without = f"; {replay.fallback:,} of those got the fallback" if replay.fallback else ""
        console.print(f"{replay.asked:,} questions had no answer on record and were put to {replay.model}{without}")
    if any(replay.first.values()):
        console.print(
            "[yellow]the log has lost its beginning: what customers did before is not in their state[/yellow]"
        )
    console.print(f"next: `tidemark compare live {replay.id}`", markup=False)


def show_replays(replays: Sequence[Replay]) -> None:
    """One line each."""
    table = _table(("replay", "made", "reads", "records", "model", "policies", "state"))
    for replay in replays:
        table.add_row(
            replay.id,
            _minute(replay.created_at),
            replay.source,
            f"{replay.records:,}",
            "recorded" if replay.recorded else replay.model,
            "live" if replay.policies is None else "others",
            "[green]done[/green]" if replay.done_at else "[yellow]not done[/yellow]",
        )
    output().print(table)


def show_record(replay: Replay, names: TopicNames) -> None:
    """All about one."""
    show_replays([replay])
    console = output()
    table = _table(("partition", "log from", "counts from", "up to"))
    for number, end in sorted(replay.until.items()):
        table.add_row(str(number), f"{replay.first.get(number, 0):,}", f"{replay.since.get(number, 0):,}", f"{end:,}")
    console.print(table)
    console.print(f"topics: {names.prefix}*", markup=False)


def show_comparison(comparison: Comparison) -> None:
    """Counts, then examples."""
    from rich.table import Table

    console = output()
    alerts, lists = comparison.alerts, comparison.recommendations
    console.print(f"[bold]{comparison.first}[/bold] against [bold]{comparison.second}[/bold]")
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="fold")
    table.add_row("alerts", f"{alerts.first:,}", f"in {comparison.first}; {alerts.second:,} in {comparison.second}")
    table.add_row("  same", f"{alerts.same:,}", "")
    for name, count, meaning in (
        ("appeared", alerts.appeared, f"only in {comparison.second}"),
        ("vanished", alerts.vanished, f"only in {comparison.first}"),
        ("moved", alerts.moved, "raised at another time"),
        ("changed", alerts.changed, f"score by {alerts.largest_score_change:.3f} at most"),
    ):
        table.add_row(f"  {name}", f"{count:,}", meaning if count else "")
    table.add_row("recommendations", f"{lists.compared:,}", "customers who have some in both")
    table.add_row("  same", f"{lists.same:,}", "")
    table.add_row("  overlap@10", f"{lists.overlap:.3f}", "mean")
    table.add_row("  rank correlation", f"{lists.rank_correlation:.3f}", "mean of Spearman's rho")
    if lists.first_only or lists.second_only:
        table.add_row(
            "  in one alone",
            f"{lists.first_only + lists.second_only:,}",
            f"{lists.first_only:,} in {comparison.first}, {lists.second_only:,} in {comparison.second}",
        )
    if lists.newer:
        table.add_row("  left out", f"{lists.newer:,}", "customers with a newer one since")
    console.print(table)
    if alerts.examples:
        console.print(_examples(alerts.examples))


def _examples(examples: Sequence[Example]) -> Table:
    """A line each: what became of it, whose it is, when it was raised and with which score, on either side."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for example in examples:
        raised = dict.fromkeys(_minute(time) for time in example.started_at if time is not None)
        scores = dict.fromkeys(f"{score:.3f}" for score in example.scores if score is not None)
        what = f"; {', '.join(example.what)}" if example.what else ""
        table.add_row(
            example.difference,
            f"{example.customer_id} {example.kind}, {' > '.join(raised)}, score {' > '.join(scores)}{what}",
        )
    return table


def _table(titles: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in titles:
        right = title in ("records", "log from", "counts from", "up to")
        table.add_column(
            title, justify="right" if right else "left", overflow="fold", no_wrap=title in ("replay", "made", "model")
        )
    return table


def _minute(time: int) -> str:
    from stream.contracts.times import to_rfc3339

    return to_rfc3339(time)[:16].replace("T", " ")

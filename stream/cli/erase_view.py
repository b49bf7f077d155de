"""What `tidemark erase` shows, at 80 columns. The command is in `erase.py`, which alone calls this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.cli.context import output

if TYPE_CHECKING:
    from stream.operations.erasing.found import Held
    from stream.operations.erasing.report import Report


def show_report(report: Report, prefix: str, planned: bool) -> None:
    """A line for each topic that holds something, and what becomes of it.

    Args:
        prefix: of the deployment's topics, which is left out.
        planned: nothing was done, and nothing was asked to be.
    """
    from rich.table import Table

    console = output()
    console.print(_headline(report), markup=False)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("topic", overflow="fold", max_width=36)
    table.add_column("records", justify="right", no_wrap=True)
    table.add_column("what becomes of them", overflow="fold")
    empty = 0
    for held in report.topics:
        count = held.values + held.nulls + held.kept + held.later
        if count:
            table.add_row(held.topic.removeprefix(prefix), f"{count:,}", _fate(held, report))
        empty += not count
    if empty < len(report.topics):
        console.print(table)
    console.print(f"nothing in {empty} of {len(report.topics)} topics")
    for replay in report.replays:
        records = sum(held.values + held.nulls + held.kept + held.later for held in replay.topics)
        console.print(f"replay {replay.replay_id}: {records:,} records; `--apply` drops it", markup=False)
    for path in report.files:
        console.print(f"{path}: names the customer; `--apply` takes the lines out", markup=False, soft_wrap=True)
    for dropped in report.dropped:
        console.print(f"dropped: {dropped}", markup=False, soft_wrap=True)
    if planned and not report.erased:
        console.print("nothing was changed: the same command with --apply erases the customer", soft_wrap=True)
    elif not planned:
        console.print(
            "[green]nothing is left but what is listed, until then[/green]"
            if report.passed
            else "[red]something is left that should be gone[/red]"
        )


def _headline(report: Report) -> str:
    if not report.erasures:
        return f"customer {report.customer_id}: not erased"
    newest = report.erasures[0]
    roles = " and ".join(erasure.role for erasure in report.erasures)
    return (
        f"customer {report.customer_id}: erased at {_minute(newest.erased_at)} by offset {newest.offset:,} of "
        f"partition {newest.partition}, forgotten by {roles}"
    )


def _fate(held: Held, report: Report) -> str:
    parts = []
    if held.kept:
        parts.append("[red]not erased[/red]" if report.erasures else "taken away by the erasure")
    if held.for_ever:
        parts.append("[red]kept for ever by the topic's retention[/red]")
    overdue = held.state(report.read_at) == "overdue"
    if held.values_go_by is not None:
        parts.append(f"gone by {_date(held.values_go_by)}")
    if held.nulls_go_by is not None:
        parts.append(f"{held.nulls:,} {'null' if held.nulls == 1 else 'nulls'} by {_date(held.nulls_go_by)}")
    if held.later:
        parts.append(f"{held.later:,} came after the erasure")
    if overdue:
        parts.append("[red]overdue[/red]")
    return ", ".join(parts)


def _minute(time: int) -> str:
    from stream.contracts.times import to_rfc3339

    return to_rfc3339(time)[:16].replace("T", " ")


def _date(time: int) -> str:
    return _minute(time)[:10]

"""What `tidemark state` prints: a customer's state, and what a comparison with the log found. Called by `state.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape

from stream.cli.context import output
from stream.operations.rendering import CONTROL_CHARACTERS, minute

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from stream.operations.history.states import CustomerState
    from stream.operations.history.verifying import Mismatch, Verified

ROWS = 8
"""Of a table that are shown; --json has them all."""
_MISMATCHES = 20


def show_customer(found: CustomerState) -> None:
    """Every field of a state that is not at its default."""
    console = output()
    as_of = "never committed" if found.offset is None else f"before offset {found.offset:,}"
    console.print(
        f"[bold]customer {escape(_safe(found.customer_id))}[/bold], partition {found.partition}, {as_of}"
        + (f", partition time {minute(found.partition_time)}" if found.partition_time else "")
    )
    if found.log_begins:
        console.print(
            f"[yellow]the log begins at offset {found.log_begins:,}: what was before is not in this state[/yellow]"
        )
    if found.profile is None:
        console.print("nothing is known of this customer here")
    else:
        console.print(_fields({**found.profile, "timer due": found.due}))
    if found.decisions is not None:
        console.print("[bold]decisions[/bold]")
        console.print(_fields(found.decisions))


def show_verified(found: Verified) -> None:
    """How many customers were compared, and what is wrong with the first of those that differ."""
    from rich.table import Table

    console = output()
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("partition", "as of offset", "events", "same", "wrong", "log too short"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in found.partitions:
        as_of = "-" if each.offset is None else f"{each.offset:,}"
        wrong = f"[red]{each.wrong:,}[/red]" if each.wrong else "0"
        table.add_row(str(each.partition), as_of, f"{each.events:,}", f"{each.same:,}", wrong, f"{each.incomplete:,}")
    console.print(table)
    for each in found.partitions:
        if each.offset is None:
            console.print(f"partition {each.partition}: nothing was ever committed, so there is nothing to compare")
        elif each.log_begins:
            console.print(
                f"[yellow]partition {each.partition}: the log begins at offset {each.log_begins:,}[/yellow]; customers "
                "with older events cannot be compared, and are not counted as wrong"
            )
        elif each.live_time != each.fresh_time:
            console.print(
                f"[red]partition {each.partition}: partition time is {_moment(each.live_time)}, the log gives "
                f"{_moment(each.fresh_time)}[/red]"
            )
    for mismatch in found.mismatches[:_MISMATCHES]:
        _mismatch(console, mismatch)
    if found.wrong > _MISMATCHES:
        console.print(f"and {found.wrong - _MISMATCHES:,} more; --json has {len(found.mismatches):,} of them")
    drawn = f", of a sample of {found.sample:,} with seed {found.seed}" if found.sample is not None else ""
    if found.passed:
        console.print(f"[green]every state that could be compared is what the log gives[/green]{drawn}")
    else:
        console.print(f"[red]{found.wrong:,} customers are not what the log gives[/red]{drawn}")


def _mismatch(console: Console, mismatch: Mismatch) -> None:
    what = {
        "differs": "",
        "missing": ": the log gives a state, and there is none",
        "unknown": ": there is a state, and the log gives none",
        "unreadable": ": the state cannot be read",
    }[mismatch.what]
    name = escape(_safe(mismatch.customer_id))
    console.print(f"[bold]customer {name}[/bold], partition {mismatch.partition}{what}")
    table = _table()
    for each in mismatch.differences:
        if mismatch.what == "unreadable":
            _row(table, each.field, each.live)
            continue
        _row(table, each.field, f"live {_short(each.live)}")
        _row(table, "", f"log  {_short(each.fresh)}")
    console.print(table)


def _fields(fields: dict[str, Any]) -> Table:
    """Names beside values; of tables the newest rows."""
    table = _table()
    for name, value in fields.items():
        if value in (None, [], {}, ""):
            continue
        if not isinstance(value, list) or all(isinstance(row, str) for row in value):
            _row(table, name, _short(value))
            continue
        earlier = f", the last {ROWS}:" if len(value) > ROWS else ""
        _row(table, name, f"{len(value):,}{earlier}")
        for row in value[-ROWS:]:
            _row(table, "", _short(row))
    return table


def _table() -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    return table


def _row(table: Table, name: str, value: str) -> None:
    table.add_row(name, escape(_safe(value)))


def _short(value: Any) -> str:
    """A value of JSON in one line, without what a person does not need to see."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(each)}" for name, each in value.items() if each not in (None, [], {}, ""))
    if isinstance(value, list):
        shown = [_short(each) for each in value[:ROWS]]
        more = f" and {len(value) - ROWS:,} more" if len(value) > ROWS else ""
        return (", ".join(shown) or "nothing") + more
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"
    if value is None:
        return "none"
    return str(value)


def _safe(text: str) -> str:
    """Control characters, which a visitor can put into an id, as U+FFFD."""
    return CONTROL_CHARACTERS.sub("\ufffd", text)


def _moment(milliseconds: int) -> str:
    return minute(milliseconds) if milliseconds else "none"

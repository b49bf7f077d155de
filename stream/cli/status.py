"""`tidemark status`: lag, last commit, model and dead letters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.context import loaded, output

if TYPE_CHECKING:
    from rich.table import Table

    from stream.operations.status import RoleStatus

HELD_OPEN_SECONDS = 5.0
"""Tidemark's own transactions last a quarter of a second."""


def status(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False
) -> None:
    """How far each role is behind, when it last committed, which model answers, and what was refused."""
    import msgspec

    from stream.operations.brokers import connect_admin
    from stream.operations.status import status as ask

    configuration = loaded(context).configuration
    now = int(time.time() * 1000)
    found = ask(configuration, connect_admin(configuration.kafka), now)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    console = output()
    for role in found.roles:
        workers = f"{role.workers} worker" + ("s" if role.workers > 1 else "") + f", group {role.state}"
        console.print(
            f"[bold]{role.role}[/bold]: {workers if role.workers else 'no worker'}, "
            f"{role.lag_records:,} records and {role.lag_seconds:,.1f} s behind"
        )
        console.print(_partitions(role, now))
        for partition in role.partitions:
            if partition.paused:
                console.print(f"[red]partition {partition.partition} is paused[/red]: {partition.paused}")
                console.print("when it is put right upstream: tidemark resume")
            if partition.open_seconds >= HELD_OPEN_SECONDS:
                console.print(
                    f"[yellow]partition {partition.partition}: a transaction has been open for "
                    f"{partition.open_seconds:,.0f} s[/yellow], {partition.open_records:,} records wait for its end. "
                    "Its producer hangs or was killed: Kafka ends it after that producer's transaction.timeout.ms"
                )
    if found.model is None:
        console.print("[bold]model[/bold]: no answer yet")
    else:
        by = " [yellow](the fallback: Triton does not answer)[/yellow]" if found.model.fallback else ""
        age = (now - found.model.answered_at) / 1000
        console.print(
            f"[bold]model[/bold]: {found.model.model.name} {found.model.model.version}{by}, last answer {_age(age)} ago"
        )
    letters = ", ".join(f"{count:,} {code}" for code, count in found.dead_letters.items()) or "none"
    console.print(f"[bold]dead letters[/bold]: {letters}")


def _partitions(role: RoleStatus, now: int) -> Table:
    from rich.table import Table

    from stream.operations.rendering import minute

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for title in ("part", "committed", "end", "lag", "lag s", "event time", "last commit"):
        table.add_column(title, justify="left" if title in ("event time", "last commit") else "right", no_wrap=True)
    for partition in role.partitions:
        table.add_row(
            str(partition.partition),
            "-" if partition.committed is None else f"{partition.committed:,}",
            f"{partition.end:,}",
            f"{partition.lag_records:,}",
            f"{partition.lag_seconds:,.1f}",
            "-" if partition.event_time is None else minute(partition.event_time),
            "-" if partition.last_commit is None else f"{_age((now - partition.last_commit) / 1000)} ago",
        )
    return table


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(seconds, 0):,.0f} s"

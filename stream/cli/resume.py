"""`tidemark resume`: partitions that were paused because most of their input was bad go on."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.cli.context import loaded
from stream.cli.worker import Role


def resume(
    context: typer.Context,
    role: Annotated[Role | None, typer.Option(help="Of which workers. Default: all.", show_default=False)] = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the control topic.")] = "",
) -> None:
    """Let partitions go on that a worker has paused; `tidemark status` shows which and why."""
    from stream.operations.resume import resume as say_resume

    say_resume(loaded(context).configuration, None if role is None else role.value, reason)
    typer.echo(f"told the workers of {'every role' if role is None else f'role {role.value}'} to go on")

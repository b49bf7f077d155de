"""`tidemark compare`: what two runs said differently."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.cli.context import loaded
from stream.cli.replay_view import show_comparison


def compare(
    context: typer.Context,
    first: Annotated[str, typer.Argument(metavar="A", help="`live`, or a replay.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help="A replay, or `live`.", show_default=False)],
    tolerance: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Share of alerts, and of customers' recommendations, that may differ."),
    ] = 0.0,
    examples: Annotated[int, typer.Option(min=0, help="Of each kind of difference, at most.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Hold two runs against each other: alerts that appeared, vanished, moved or changed, and how alike the
    recommendations are.

    Ends with 1 when more differs than --tolerance allows, so that a release can be made to depend on it.
    """
    import msgspec

    from stream.cli.exits import Exit
    from stream.operations.replays.compare import compare as compared

    found = compared(loaded(context).configuration, first, second, examples)
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        show_comparison(found)
    if not found.within(tolerance):
        raise typer.Exit(Exit.PROMISE_BROKEN)

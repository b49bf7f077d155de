"""`tidemark campaigns`: what the alerts of an experiment brought, hold-out against treated."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.context import loaded
from stream.cli.durations import moment_of

if TYPE_CHECKING:
    from stream.operations.campaigns.report import By

app = typer.Typer(
    help="What the alerts brought: hold-out against treated.", no_args_is_help=True, subcommand_metavar="COMMAND"
)

_DEFAULT = "kind,segment,month"


@app.callback()
def campaigns() -> None:
    pass


@app.command()
def report(
    context: typer.Context,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WHEN",
            help="Customers first alerted from then on: 2026-03-01, 2026-03-01T09:00, or 60d. Default: all.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="WHEN", help="Customers first alerted before that.", show_default=False),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(
            min=1, max=365, help="Follow each customer so long. Default: the horizon of the alert.", show_default=False
        ),
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="LIST", help="Break down by any of kind, segment, month, week; none for the whole.")
    ] = _DEFAULT,
    detect: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="The difference in the share who bought that is to be seen, such as 0.02: are there enough customers?",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: with every figure.")] = False,
) -> None:
    """Compare customers whose alerts were published with those whose alerts were held out.

    Everybody counts in the arm that was drawn, whether a message reached them or not. Ends with 1 when the arms were
    not drawn as they should have been.
    """
    import msgspec

    from stream.cli.campaigns_view import show_report
    from stream.cli.exits import Exit
    from stream.cli.progress import progress_bar
    from stream.operations.campaigns.reading import Asked
    from stream.operations.campaigns.reading import report as found

    if detect is not None and not 0.0 < detect < 1.0:
        raise typer.BadParameter(f"{detect:g} is no share between 0 and 1", param_hint="--detect")
    now = int(time.time() * 1000)
    asked = Asked(
        since=None if since is None else moment_of(since, "--from", now),
        until=None if until is None else moment_of(until, "--to", now),
        days=days,
        detect=detect,
        bys=_bys(by),
    )
    configuration = loaded(context).configuration
    with progress_bar("reading", "offsets") as update:
        told = found(configuration, asked, lambda what, done, of: update(done, of))
    if as_json:
        typer.echo(msgspec.json.encode(told))
    else:
        show_report(told)
    if any(campaign.mismatched for campaign in told.campaigns):
        raise typer.Exit(Exit.PROMISE_BROKEN)


def _bys(text: str) -> list[By]:
    from stream.operations.campaigns.report import BYS

    wanted = [] if text == "none" else text.split(",")
    if unknown := [each for each in wanted if each not in BYS]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(BYS)}, nor is it none", param_hint="--by")
    return [by for by in BYS if by in wanted]

"""`tidemark erase`: forget a customer everywhere, say until when the log keeps what, and prove it."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.context import loaded, notes


def erase(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="A customer_id, or an anonymous_id.")],
    apply: Annotated[bool, typer.Option("--apply", help="Do it. Without it nothing is written.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read everything back; exit code 1 where something is left past its date.")
    ] = False,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; it is kept for ever, so name nobody.", show_default=False)
    ] = "",
    actor: Annotated[str, typer.Option(help="Who; it is kept for ever.", show_default="you")] = "",
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="For the workers to forget.", min=0)] = 60.0,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as JSON.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Erase a customer: state, alerts, predictions, recommendations, replays. Without --apply, show what there is.

    Killed and given again it goes on. What the log keeps by its retention is listed with the date it goes.
    """
    import msgspec

    from stream.cli.erase_view import show_report
    from stream.cli.exits import Exit
    from stream.cli.progress import progress_bar
    from stream.operations.erasing import report as reports
    from stream.operations.erasing.erase import Asked
    from stream.operations.erasing.erase import erase as forget
    from stream.operations.files import whole_file

    if apply and check:
        raise typer.BadParameter("either erase, or read back what was erased", param_hint="--check")
    configuration = loaded(context).configuration
    with progress_bar("reading", "offsets") as update:

        def told(topic: str, done: int, of: int) -> None:
            update(done, of)

        if apply:
            asked = Asked(actor or getpass.getuser(), reason, wait)
            found = forget(configuration, customer, asked, told)
        elif check:
            found = reports.check(configuration, customer, told)
        else:
            found = reports.survey(configuration, customer, told)
    if report is not None:
        with whole_file(report) as file:
            file.write(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
        notes().print(f"{report} written", soft_wrap=True)
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        show_report(found, configuration.topics.prefix, planned=not (apply or check))
    if (apply or check) and not found.passed:
        raise typer.Exit(Exit.PROMISE_BROKEN)

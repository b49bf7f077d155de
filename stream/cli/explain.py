"""`tidemark explain`: a customer's time line, and why alerts were raised or not, as text, JSON or a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli.context import loaded, notes


def explain(
    context: typer.Context,
    named: Annotated[str, typer.Argument(metavar="CUSTOMER|ALERT-ID", help="Of whom, or which alert.")],
    last: Annotated[
        int, typer.Option(metavar="N", help="Show the newest N entries; of an alert, those around it. 0: all.", min=0)
    ] = 30,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it all as one page that can be sent on.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: the whole time line as one object.")] = False,
) -> None:
    """The time line of a customer: events, states, scores with their reasons, and why an alert was raised or not.

    Scores and reasons are those that were stored; no model is asked.
    """
    import msgspec

    from stream.cli.explain_view import show
    from stream.cli.progress import progress_bar
    from stream.cli.state import item_names_of
    from stream.operations.files import whole_file
    from stream.operations.history.explaining import explain as found
    from stream.operations.history.page import page
    from stream.workers.process import configure_logging

    # What failed then fails again, and is told in its place.
    configure_logging("error")
    configuration = loaded(context).configuration
    with progress_bar("reading", "offsets") as update:
        explanation = found(configuration, named, item_names_of(configuration), lambda what, done, of: update(done, of))
    if html is not None:
        with whole_file(html) as out:
            out.write(page(explanation).encode())
        notes().print(f"{html} has {len(explanation.entries):,} entries")
    elif as_json:
        typer.echo(msgspec.json.encode(explanation))
    else:
        show(explanation, last)

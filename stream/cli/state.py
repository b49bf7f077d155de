"""`tidemark state`: what is known of a customer, now or at an offset, and whether it is what the log gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.context import loaded, notes

if TYPE_CHECKING:
    from stream.configuration.settings import Configuration
    from stream.operations.history.fields import NameOf

app = typer.Typer(help="What is known of customers, and whether it is what the log gives.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="For scripts.")]


@app.command()
def get(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="A customer_id, or an anonymous_id.")],
    at: Annotated[
        int | None,
        typer.Option(
            metavar="OFFSET",
            help="As the log gives it up to and with the event at this offset of the customer's partition.",
            show_default=False,
            min=0,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """What is known of a customer: now, as last committed, or at an offset of the events topic."""
    import msgspec

    from stream.cli.exits import Exit
    from stream.cli.progress import progress_bar
    from stream.cli.state_view import show_customer
    from stream.operations.history.states import state_at, state_now
    from stream.workers.process import configure_logging

    configure_logging("error")
    configuration = loaded(context).configuration
    if at is None:
        found = state_now(configuration, customer, item_names_of(configuration))
    else:
        with progress_bar("folding", "offsets") as update:
            found = state_at(configuration, customer, at, item_names_of(configuration), update)
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        show_customer(found)
    if found.profile is None and found.decisions is None:
        raise typer.Exit(Exit.INPUT)


@app.command()
def verify(
    context: typer.Context,
    partition: Annotated[
        list[int] | None, typer.Option(help="Look at this one alone; repeat. Default: all.", show_default=False, min=0)
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Compare so many customers, drawn by a hash. Default: all.", show_default=False, min=1
        ),
    ] = None,
    seed: Annotated[str, typer.Option(help="Of the draw: another one draws other customers.")] = "1",
    as_json: Json = False,
) -> None:
    """Fold the log afresh and compare it with the live state of every customer. Exit code 1: it is not the same.

    It reads Kafka alone, as of the last commit of each partition; the workers go on meanwhile.
    """
    import msgspec

    from stream.cli.exits import Exit
    from stream.cli.progress import progress_bar
    from stream.cli.state_view import show_verified
    from stream.operations.history.verifying import verify as compare
    from stream.workers.process import configure_logging

    # What failed when it was folded fails again: that is no news.
    configure_logging("error")
    configuration = loaded(context).configuration
    with progress_bar("reading", "offsets") as update:
        found = compare(
            configuration,
            partitions=partition or None,
            sample=sample,
            seed=seed,
            progress=lambda what, done, of: update(done, of),
        )
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        show_verified(found)
    if not found.passed:
        raise typer.Exit(Exit.PROMISE_BROKEN)


@app.command()
def export(
    context: typer.Context,
    target: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON lines; compressed by a name such as .gz; - is standard output.")
    ],
) -> None:
    """Write the profile of every customer, as last committed: one JSON object a line."""
    import msgspec

    from stream.cli.exits import while_read
    from stream.cli.progress import progress_bar
    from stream.operations.files import whole_file
    from stream.operations.history.states import exported

    configuration = loaded(context).configuration
    count = 0
    with while_read(), progress_bar("reading", "offsets") as update, whole_file(target) as out:
        for found in exported(configuration, update):
            out.write(msgspec.json.encode(found) + b"\n")
            count += 1
    notes().print(f"{count:,} profiles written")


def item_names_of(configuration: Configuration) -> NameOf:
    """Names of items by their hashes, as far as the catalogue knows them."""
    from stream.contracts.ids import item_hash
    from stream.operations.catalogue_items import item_names
    from stream.operations.history.fields import by_hash

    names = {item_hash(item): name for item, name in item_names(configuration).items()}
    return lambda item: names.get(item) or by_hash(item)

"""`tidemark simulate`: events that nobody did, for trying out and for load."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.context import notes


def simulate(
    destination: Annotated[
        str,
        typer.Argument(
            metavar="OUT", help=".jsonl, .jsonl.gz, .jsonl.xz, or - for standard output.", show_default=False
        ),
    ],
    around: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Real events: visits, carts and reviews are put around them.", show_default=False
        ),
    ] = None,
    customers: Annotated[int, typer.Option(min=1, help="Customers of a load without real events.")] = 1_000,
    events: Annotated[int, typer.Option(min=1, help="Events of a load without real events.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Another seed is another draw; the same one gives the same file.")] = 1,
    start: Annotated[datetime, typer.Option(help="UTC time of the first event of a load.")] = datetime(2025, 1, 1),
    days: Annotated[float, typer.Option(min=0.001, help="Event time between first and last event of a load.")] = 90.0,
) -> None:
    """Make events, every one marked as simulated: around those of a file, or a load of any size."""
    from datetime import UTC, timedelta

    from stream.cli.progress import progress_bar
    from stream.contracts.codec import decode_event, encode
    from stream.operations import simulate as simulation
    from stream.operations.files import open_for_reading, whole_file

    if around is None:
        load = simulation.Load(customers, events, seed, start.replace(tzinfo=UTC), timedelta(days=days))
        made = simulation.synthetic(load)
    else:
        made = simulation.around((decode_event(line) for line in open_for_reading(around) if line.strip()), seed)
    count = 0
    with progress_bar("simulating", "events") as update, whole_file(destination) as out:
        for event in made:
            out.write(encode(event) + b"\n")
            count += 1
            if count % 1_000 == 0:
                update(count, events if around is None else None)
    notes().print(f"{count:,} events in {destination}")

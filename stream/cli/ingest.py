"""`tidemark ingest`: events from a file or standard input onto the events topic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli.context import loaded, notes


def ingest(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help=".jsonl or .csv, also with .gz, .xz or .bz2 behind it; .parquet; - for JSON lines.",
            show_default=False,
        ),
    ],
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="FIELD=COLUMN", help="Which column is which field, as often as needed.", show_default=False
        ),
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="A field that no column gives, such as type=purchase.",
            show_default=False,
        ),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of times without an offset: Europe/London.", show_default=False)
    ] = None,
    time_format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="Of times that are not ISO 8601: '%d/%m/%Y %H:%M'.", show_default=False),
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Events a second at most.", show_default=False)] = None,
    speedup: Annotated[
        float | None,
        typer.Option(min=0.001, help="Seconds of event time a second: 3600 is an hour a second.", show_default=False),
    ] = None,
    backfill: Annotated[
        bool, typer.Option("--backfill", help="History: it changes profiles and fires nothing.")
    ] = False,
    catalogue: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The shop's items as JSON lines, loaded first. Default: those the events name.",
            show_default=False,
        ),
    ] = None,
    no_catalogue: Annotated[bool, typer.Option("--no-catalogue", help="Leave the catalogue alone.")] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="From the first line, whatever was loaded before. Only a customer's newest 256 events (64 at least) "
            "are known again by their ids; older ones count twice.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: what was done, as one object.")] = False,
) -> None:
    """Load events. A run that was killed goes on where it was, without doubles: give the same command again.

    CSV and parquet: a column that bears a field's name is that field; --map and --set say the rest, for them alone.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from stream.cli.progress import progress_bar
    from stream.operations.brokers import connect_admin
    from stream.operations.catalogue_items import load_catalogue
    from stream.operations.ingest import ingest as load
    from stream.operations.loading import Options
    from stream.operations.sources import Columns, Source

    configuration = loaded(context).configuration
    try:
        zone = ZoneInfo(timezone) if timezone else None
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise typer.BadParameter(f"there is no time zone {timezone!r}", param_hint="--timezone") from error
    columns = Columns(_pairs(column, "--map"), _pairs(constant, "--set"), zone, time_format)
    events = Source(source, columns)
    connect_admin(configuration.kafka)
    items = load_catalogue(configuration, catalogue) if catalogue else 0
    options = Options(
        rate=rate, speedup=speedup, backfill=backfill, catalogue=not (no_catalogue or catalogue), again=again
    )
    with progress_bar("loading", "events") as update:
        done = load(configuration, events, options, lambda progress: update(progress.lines, progress.total))
    done.items += items
    if as_json:
        from dataclasses import asdict

        import orjson

        typer.echo(orjson.dumps(asdict(done)))
        return
    console = notes()
    speed = f" ({done.sent / done.seconds:,.0f}/s)" if done.sent > done.seconds > 1 else ""
    console.print(f"{done.sent:,} events sent{speed}, {done.items:,} catalogue items written")
    if done.resumed_at:
        console.print(f"{done.resumed_at:,} lines were loaded before; --again would load them once more")
    if done.derived_ids:
        console.print(f"{done.derived_ids:,} events had no event_id and got one from their content")
    if done.unreadable:
        lines = ", ".join(map(str, done.unreadable_lines)) + (" …" if done.unreadable > 3 else "")
        console.print(
            f"{done.unreadable:,} lines have no customer that can be read (line {lines}); they were sent as they are: "
            "`tidemark tail dead-letters --from-beginning` will say what is wrong"
        )


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given or ():
        field, equals, value = text.partition("=")
        if not (field and equals and value):
            raise typer.BadParameter(f"{text!r} is not FIELD=VALUE", param_hint=option)
        pairs[field.strip()] = value
    return pairs

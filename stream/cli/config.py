"""`tidemark config`: every setting in force and where it came from, secrets masked."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.cli.context import loaded, output


def config(
    context: typer.Context,
    changed: Annotated[bool, typer.Option("--changed", help="Only what differs from the defaults.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="For scripts: one object, with the origin of each key.")
    ] = False,
) -> None:
    """Show the settings in force and where each came from; secrets are masked.

    The environment wins over tidemark.toml, which wins over the defaults: TIDEMARK__KAFKA__BOOTSTRAP_SERVERS sets
    kafka.bootstrap_servers, TIDEMARK__KAFKA__CLIENT__SECURITY_PROTOCOL the property security.protocol of every Kafka
    client.
    """
    from stream.configuration.resolve import DEFAULT
    from stream.configuration.view import masked

    configuration, origins = loaded(context)
    shown = [line for line in masked(configuration, origins) if not changed or line.origin != DEFAULT]
    if as_json:
        import orjson

        typer.echo(orjson.dumps({line.key: {"value": line.value, "origin": line.origin} for line in shown}))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("setting", overflow="fold")
    table.add_column("value", overflow="fold", max_width=28)
    table.add_column("from", overflow="fold", max_width=22)
    for line in shown:
        value = "" if line.value is None else str(line.value)
        table.add_row(line.key, value, line.origin, style="dim" if line.origin == DEFAULT else None)
    output().print(table)

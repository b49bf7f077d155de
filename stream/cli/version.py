"""`tidemark version`: which Tidemark this is, and which model answers."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Annotated

import typer

from stream.cli.context import loaded


def version(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False
) -> None:
    """Which Tidemark and librdkafka this is, which model answers by default, and which was promoted, if Kafka says."""
    import confluent_kafka
    import orjson

    from serving.registry import UnknownVersion, UnusableVersion
    from stream.configuration.repository import open_registry
    from stream.operations.switches import promoted

    configuration = loaded(context).configuration
    try:
        model = open_registry(configuration).default().card.version
    except (FileNotFoundError, UnknownVersion, UnusableVersion):
        model = "none"
    last = promoted(configuration)
    if as_json:
        facts = {"tidemark": version_of("tidemark"), "librdkafka": confluent_kafka.libversion()[0]}
        typer.echo(orjson.dumps({**facts, "model": model, "promoted": last}))
        return
    typer.echo(f"tidemark {version_of('tidemark')} (librdkafka {confluent_kafka.libversion()[0]})")
    in_force = "not known, no Kafka answers" if last is None else last or "none"
    typer.echo(f"model {model} by default; promoted: {in_force}")

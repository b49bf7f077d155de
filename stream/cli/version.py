"""`tidemark version`: which Tidemark this is, and which model it ships."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Annotated

import typer


def version(as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False) -> None:
    """Which Tidemark, librdkafka and model this is."""
    import confluent_kafka
    import orjson

    from serving.model_card import model_repository
    from serving.registry import Registry, UnknownVersion

    try:
        model = Registry(model_repository()).default().card.version
    except (FileNotFoundError, UnknownVersion):
        model = "none"
    facts = {"tidemark": version_of("tidemark"), "librdkafka": confluent_kafka.libversion()[0], "model": model}
    if as_json:
        typer.echo(orjson.dumps(facts))
    else:
        typer.echo(f"tidemark {facts['tidemark']} (librdkafka {facts['librdkafka']}, model {facts['model']})")

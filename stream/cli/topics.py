"""`tidemark topics`: create the topics, or say what is wrong with those that exist."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.cli.context import loaded, output
from stream.cli.exits import Exit


def topics(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Create nothing; exit 1 when topics are missing, 4 when one is wrong.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Create the topics that are missing; refuse those that are not what they must be."""
    from stream.operations.brokers import connect_admin
    from stream.operations.topics import TopicMismatchError, create_topics, inspect_topics

    configuration = loaded(context).configuration
    admin = connect_admin(configuration.kafka)
    try:
        states = (inspect_topics if check else create_topics)(admin, configuration.topics)
    except TopicMismatchError as error:
        for difference in error.differences:
            typer.echo(f"tidemark: {difference}", err=True)
        raise typer.Exit(Exit.REFUSED) from error
    if as_json:
        import orjson

        rows = [{"topic": s.topic.name, "partitions": s.topic.partitions, "state": s.state} for s in states]
        typer.echo(orjson.dumps(rows))
    else:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("topic", "partitions", "cleanup", ""):
            table.add_column(title, justify="right" if title == "partitions" else "left")
        for state in states:
            topic = state.topic
            table.add_row(topic.name, str(topic.partitions), topic.spec.cleanup_policy, state.state)
        output().print(table)
    if any(state.state == "missing" for state in states):
        raise typer.Exit(Exit.PROMISE_BROKEN)

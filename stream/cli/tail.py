"""`tidemark tail`: records of a topic as they come, one line each."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from stream.cli.context import loaded
from stream.cli.exits import while_read


def tail(
    context: typer.Context,
    topic: Annotated[
        str,
        typer.Argument(
            help="alerts, recommendations, dead-letters, events …, or a name on the broker.", show_default=False
        ),
    ],
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Start at the oldest record.")] = False,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="End at the newest record instead of waiting.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many records.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: each record as one object.")] = False,
) -> None:
    """Show a topic's committed records, one line each, until Ctrl-C."""
    from stream.contracts import topics
    from stream.operations.brokers import connect_admin
    from stream.operations.catalogue_items import item_names
    from stream.operations.names import find_topic
    from stream.operations.rendering import line
    from stream.operations.tail import tail as records_of

    configuration = loaded(context).configuration
    found = find_topic(topic, configuration.topics)
    connect_admin(configuration.kafka)
    names = item_names(configuration) if found.logical == topics.RECOMMENDATIONS and not as_json else {}
    with (
        while_read(),
        closing(
            records_of(
                configuration.kafka, found.physical, from_beginning=from_beginning, follow=not no_follow, limit=limit
            )
        ) as records,
    ):
        try:
            for record in records:
                typer.echo(
                    record.as_json() if as_json else line(found.logical, record, lambda item: names.get(item, item))
                )
        except KeyboardInterrupt:
            return

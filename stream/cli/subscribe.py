"""`tidemark subscribe`: alerts to a webhook or a command."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from stream.cli.context import loaded


class Least(StrEnum):
    """Severities of alerts."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class From(StrEnum):
    """Where a new subscription begins."""

    BEGINNING = "beginning"
    NOW = "now"


def subscribe(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Option(help="What was delivered is remembered under it; processes of one name share the work."),
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="URL|COMMAND", help="https://… gets signed POSTs; a command gets each alert on its standard input."
        ),
    ],
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Of alerts, such as churn_risk; as often as needed. Default: all.", show_default=False),
    ] = None,
    min_severity: Annotated[
        Least, typer.Option(help="An alert is told from the transition that reaches it to its end.")
    ] = Least.LOW,
    begin: Annotated[
        From | None,
        typer.Option("--from", help="Where to begin; for the first start of a name alone.", show_default=False),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when all is delivered that is there now.")] = False,
    undelivered: Annotated[
        bool, typer.Option("--undelivered", help="Try again what this subscription has given up, and end.")
    ] = False,
    attempts: Annotated[
        int, typer.Option(min=1, help="That fail while others succeed, before an alert is given up.")
    ] = 20,
    longest_wait: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="Seconds between two attempts, at most.")
    ] = 300.0,
    parallel: Annotated[int, typer.Option(min=1, max=1000, help="Customers at once.")] = 16,
    timeout: Annotated[float, typer.Option(min=0.1, max=300, help="Seconds of an attempt.")] = 10.0,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow plain http, and addresses that are not public.")
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            help="Serve Prometheus metrics; 0 serves none. Default: metrics_port.", min=0, max=65535, show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: what was done, as one object.")] = False,
) -> None:
    """Deliver alerts, each customer's in order, at least once; an alert that comes twice has the same id.

    SIGTERM and Ctrl-C stop it after the attempts under way; kill -9 loses nothing either.
    """
    import signal
    from collections.abc import Callable

    import orjson
    from prometheus_client import CollectorRegistry

    from stream.operations.subscriptions.subscribe import Wish
    from stream.operations.subscriptions.subscribe import subscribe as deliver
    from stream.workers.process import configure_logging, serve_metrics

    configuration = loaded(context).configuration
    configure_logging(configuration.log_level)
    registry = CollectorRegistry()
    serve_metrics(configuration, metrics_port, registry)

    def stop_on_signals(stop: Callable[[], None]) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop())

    ends = deliver(
        configuration,
        Wish(
            name=name,
            to=to,
            kinds=tuple(kind or ()),
            least=min_severity.value,
            start=None if begin is None else begin.value,
            undelivered=undelivered,
            once=once,
            attempts=attempts,
            longest_wait_s=longest_wait,
            parallel=parallel,
            timeout_s=timeout,
            allow_private=allow_private,
        ),
        registry,
        stop_on_signals,
    )
    if as_json:
        typer.echo(orjson.dumps(ends))
    elif once or undelivered:
        typer.echo(", ".join(f"{count:,} {end}" for end, count in sorted(ends.items())) or "nothing to deliver")

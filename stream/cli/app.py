"""The program `tidemark`: its commands, the options that all of them share, and how errors end it.

Commands import what they need when they are called, so that `tidemark --help` is there at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from stream.cli import (
    campaigns,
    compare,
    config,
    convert,
    dead_letters,
    demo,
    erase,
    evaluate,
    explain,
    ingest,
    models,
    policies,
    rebuild,
    repair,
    replay,
    resume,
    retrain,
    sentiment,
    simulate,
    state,
    status,
    subscribe,
    tail,
    topics,
    train,
    tune,
    up,
    version,
    worker,
)
from stream.cli.context import Shared
from stream.cli.exits import EXIT_CODES, end_with

app = typer.Typer(
    name="tidemark",
    help="Churn alerts and recommendations from a shop's live events, exactly once, over Kafka and Triton.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # The boxes of rich cost a quarter of a second at every --help.
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def shared(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Configuration instead of ./tidemark.toml.", show_default=False)
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole trace of an error.")] = False,
) -> None:
    context.obj = Shared(config, debug)


app.command()(demo.demo)
app.command()(up.up)
app.command()(topics.topics)
app.command()(worker.worker)
app.command()(ingest.ingest)
app.command()(convert.convert)
app.command()(simulate.simulate)
app.command()(train.train)
app.command()(tune.tune)
app.command()(retrain.retrain)
app.command()(evaluate.evaluate)
app.command()(sentiment.sentiment)
app.command()(status.status)
app.command()(tail.tail)
app.command()(subscribe.subscribe)
app.command()(explain.explain)
app.command()(erase.erase)
app.command()(resume.resume)
app.command()(compare.compare)
app.command()(repair.repair)
app.command()(rebuild.rebuild)
app.command()(config.config)
app.command()(version.version)
app.add_typer(models.app, name="models")
app.add_typer(policies.app, name="policies")
app.add_typer(campaigns.app, name="campaigns")
app.add_typer(replay.app, name="replay")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(state.app, name="state")


def main(arguments: list[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    # onnxruntime's wheels report their use to Microsoft unless this is set before they are imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        app(_shared_first(given))
    except Exception as error:
        sys.exit(end_with(error, debug="--debug" in given))


def _shared_first(arguments: list[str]) -> list[str]:
    """The shared options, wherever they were typed, before the command, where the parser wants them."""
    first: list[str] = []
    rest: list[str] = []
    given = iter(arguments)
    for argument in given:
        if argument == "--":
            rest += [argument, *given]
        elif argument == "--config":
            first += [argument, *[value for value in [next(given, None)] if value is not None]]
        elif argument == "--debug" or argument.startswith("--config="):
            first.append(argument)
        else:
            rest.append(argument)
    return first + rest


if __name__ == "__main__":
    main()

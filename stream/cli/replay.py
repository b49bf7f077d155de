"""`tidemark replay`: a part of the log through today's code, in topics of its own."""

from __future__ import annotations

import os
import re
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.context import loaded, notes, output
from stream.cli.durations import moment_of
from stream.cli.progress import progress_records
from stream.cli.replay_view import show_ran, show_record, show_replays

if TYPE_CHECKING:
    from stream.configuration.settings import Configuration
    from stream.operations.replays.begin import Moment
    from stream.operations.replays.record import Replay

app = typer.Typer(
    help="Put a part of the log through today's code, into topics of its own; live topics are only read.",
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]",
)

Json = Annotated[bool, typer.Option("--json", help="For scripts.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of a replay.", show_default=False)]


@app.callback()
def replay(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Default: date and time.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WHEN",
            help="What counts in a comparison begins here: when it was appended (2026-11-02T08:00, or 12h ago), or "
            "offsets of events (0:1200,1:900). State is made from the beginning. Default: all.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="WHEN", help="Read no further. Default: what is there now.", show_default=False),
    ] = None,
    requests: Annotated[
        bool,
        typer.Option(
            "--requests", help="Take the questions that were put, and decide anew only what was decided. Quicker."
        ),
    ] = False,
    model: Annotated[
        str,
        typer.Option(
            metavar="VERSION",
            help="Answers of this version alone. Default: those that were given, and of the version in force where "
            "none was.",
            show_default=False,
        ),
    ] = "",
    policies: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Policies instead of the configured ones: TOML.", show_default=False),
    ] = None,
    customer: Annotated[
        str, typer.Option(metavar="ID", help="Only what this customer's partition needs.", show_default=False)
    ] = "",
) -> None:
    """Put a part of the log through today's code, into topics of its own; live topics are only read.

    It can be stopped with Ctrl-C or killed, and goes on with `tidemark replay resume NAME`. While live workers are more
    than a second behind it waits.
    """
    if context.invoked_subcommand is not None:
        return
    from stream.configuration.load import load_policies
    from stream.operations.replays.begin import Wanted, begin

    one_thread()
    configuration = loaded(context).configuration
    made = begin(
        configuration,
        name or f"{datetime.now(UTC):%m%d-%H%M%S}",
        Wanted(
            source="requests" if requests else "events",
            since=moment_or_offsets(since, "--from"),
            until=moment_or_offsets(until, "--to"),
            model=model,
            policies=None if policies is None else load_policies(policies),
            customer=customer,
        ),
    )
    work_on(configuration, made)


@app.command()
def resume(context: typer.Context, name: Name) -> None:
    """Go on with a replay that was stopped."""
    from stream.operations.replays.record import read

    one_thread()
    configuration = loaded(context).configuration
    found = read(configuration, name)
    if found.done_at:
        notes().print(f"replay {name} is done: `tidemark compare live {name}`")
        return
    work_on(configuration, found)


@app.command("list")
def list_replays(context: typer.Context, as_json: Json = False) -> None:
    """Every replay, and whether it is done."""
    import msgspec

    from stream.operations.brokers import connect_admin
    from stream.operations.replays.record import UnknownReplay, ids, read

    configuration = loaded(context).configuration
    found = []
    for each in ids(configuration, connect_admin(configuration.kafka)):
        try:
            found.append(read(configuration, each))
        except UnknownReplay as error:
            notes().print(f"[yellow]{error}[/yellow]")
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    show_replays(found)


@app.command()
def show(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """What a replay reads, with which model and policies, and its topics."""
    import msgspec

    from stream.operations.replays.record import read, sandbox_of

    configuration = loaded(context).configuration
    found = read(configuration, name)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    show_record(found, sandbox_of(configuration, found).topics.topic_names())


@app.command()
def drop(context: typer.Context, name: Name) -> None:
    """Delete a replay with its topics and groups. Nothing live is touched."""
    from stream.operations.replays.drop import drop as take_away

    gone = take_away(loaded(context).configuration, name)
    output().print(f"dropped replay {name}: {len(gone)} topics and its groups")


def work_on(configuration: Configuration, found: Replay, *, tell: bool = True) -> None:
    """Go on with a replay until it is done, and tell how it was; Ctrl-C stops it, with exit code 1."""
    from stream.cli.exits import Exit
    from stream.operations.replays.run import Run
    from stream.workers.process import configure_logging

    # A worker tells its story on standard error, where the bar is; what goes wrong is told all the same.
    configure_logging("warning" if configuration.log_level == "info" else configuration.log_level)
    with progress_records() as told:
        run = Run(configuration, found, told)
        before = {number: signal.signal(number, lambda *_: run.stop()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            ran = run.work()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    if not ran.replay.done_at:
        notes().print(f"stopped: `tidemark replay resume {found.id}` goes on")
        raise typer.Exit(Exit.PROMISE_BROKEN)
    if tell:
        show_ran(ran)


def one_thread() -> None:
    """Before numpy is imported."""
    # As for a worker: see `worker.py`.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def moment_or_offsets(text: str | None, option: str) -> Moment | None:
    """Offsets by partition, such as 0:1200,1:900, or a moment, as they were typed."""
    if text is None:
        return None
    if re.fullmatch(r"\d+:\d+(,\d+:\d+)*", text):
        return {int(number): int(offset) for number, _, offset in (pair.partition(":") for pair in text.split(","))}
    return moment_of(text, option, int(time.time() * 1000))

"""`tidemark repair`: publishes what a replay says otherwise."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.context import loaded, notes
from stream.cli.repair_view import show_forecast, show_repaired

if TYPE_CHECKING:
    from stream.configuration.settings import Configuration
    from stream.operations.repairs.repair import Repaired


def repair(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a replay.", show_default=False)],
    apply: Annotated[bool, typer.Option("--apply", help="Do it. Otherwise only what would be published.")] = False,
    reason: Annotated[
        str, typer.Option(help="What was wrong; every transition that is published says it.", show_default=False)
    ] = "",
    wait: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="For workers of role profiles that are leaving.")
    ] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Put right what was said, and the state that it came from, by a replay of the whole log.

    Without --apply it says what that would publish. With it the workers of role profiles have to be stopped, those of
    role decisions have to run. It can be killed and given again. Ends with 1 when something differs still.
    """
    import msgspec

    from stream.operations.repairs.repair import refuse_unfit
    from stream.operations.replays.compare import compare
    from stream.operations.replays.record import read

    configuration = loaded(context).configuration
    if not apply:
        refuse_unfit(read(configuration, name))
        found = compare(configuration, "live", name, examples=5)
        if as_json:
            typer.echo(msgspec.json.encode(found))
        else:
            show_forecast(found, f"tidemark repair {name} --apply --reason …")
        return
    if not reason:
        raise typer.BadParameter("say what was wrong: whoever reads the alerts reads it too", param_hint="--reason")
    put_right(configuration, name, reason, wait, as_json)


def put_right(configuration: Configuration, name: str, reason: str, wait: float, as_json: bool) -> None:
    """Repair, and tell; ends with 1 when something differs still."""
    import msgspec

    from stream.cli.exits import Exit

    done = _repaired(configuration, name, reason, wait)
    if as_json:
        typer.echo(msgspec.json.encode({"changed": done.counts, "left_out": done.left_out, "left": done.left}))
    else:
        show_repaired(done)
    if done.left:
        raise typer.Exit(Exit.PROMISE_BROKEN)


def _repaired(configuration: Configuration, name: str, reason: str, wait: float) -> Repaired:
    from stream.cli.progress import progress_records
    from stream.operations.repairs.repair import Repair
    from stream.operations.replays.run import Run
    from stream.workers.process import configure_logging

    # As for a worker: see `worker.py`.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    configure_logging("warning" if configuration.log_level == "info" else configuration.log_level)
    with progress_records() as told:
        return Repair(
            configuration, name, reason, notes().print, lambda replay: Run(configuration, replay, told), wait
        ).work()

"""`tidemark retrain`: the model again, from the newest events, as a version to promote."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stream.cli.context import loaded, notes, output
from stream.cli.durations import seconds_of

if TYPE_CHECKING:
    from stream.configuration.settings import Configuration
    from stream.operations.retrain import Asked, Retrained

DEFAULT_DRIFT_BOUND: Final = 0.08
"""The shipped model's calibration errors on later periods are .025 to .069."""


def retrain(
    context: typer.Context,
    events: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Canonical events instead of the events topic.", show_default=False),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First UTC day of the window. Default: all.", show_default=False),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day after its last one. Default: all.", show_default=False),
    ] = None,
    if_drift: Annotated[
        bool, typer.Option("--if-drift", help="Only when the model's calibration error is beyond --drift-bound.")
    ] = False,
    drift_bound: Annotated[
        float, typer.Option(min=0.0, help="Calibration error of 30-day churn beyond chance.")
    ] = DEFAULT_DRIFT_BOUND,
    canary_bound: Annotated[
        float, typer.Option(min=0.0, help="How far the churn of untrained customers may move in the mean.")
    ] = 0.1,
    first_timers_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of the newest month's buyers, who may be new.")
    ] = 0.5,
    every: Annotated[
        str | None, typer.Option(metavar="7d", help="Again and again, until Ctrl-C: 12h, 7d.", show_default=False)
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Cores to use.")] = 2,
) -> None:
    """Train the model again on the newest window and add it as a version, not in force.

    It keeps the settings of the version in force. Refuses windows that must not be learned from. Needs the extra
    `train`.
    """
    from stream.embedded.cache import InstallError

    pause = None if every is None else seconds_of(every, "--every", "hd")
    try:
        import serving.training.train  # noqa: F401 - said at once, not after an hour of waiting
    except ModuleNotFoundError as error:
        raise InstallError(f"training needs {error.name}: install it with `pip install 'tidemark[train]'`") from error
    from serving.evaluation.canary import CanaryBounds
    from serving.training.bounds import Bounds
    from stream.operations.retrain import Asked
    from stream.operations.retrain_window import UNBOUNDED

    configuration = loaded(context).configuration
    asked = Asked(
        bounds=Bounds(first_timers_share=first_timers_share),
        canaries=CanaryBounds(mean=canary_bound),
        drift_bound=drift_bound if if_drift else None,
        threads=threads,
    )
    span = (_day(since, 0), _day(until, UNBOUNDED))
    if pause is None:
        _once(configuration, events or [], span, asked)
        return
    while True:
        _once_of_many(configuration, events or [], span, asked)
        notes().print(f"[dim]again in {every}[/dim]")
        time.sleep(pause)


def _once_of_many(configuration: Configuration, files: list[Path], span: tuple[int, int], asked: Asked) -> None:
    """A run whose failure is said and does not end the loop."""
    from stream.cli.exits import Exit, end_with, exit_code

    try:
        _once(configuration, files, span, asked)
    except Exception as error:
        if exit_code(error) is Exit.INTERNAL:
            raise
        end_with(error, debug=False)


def _once(configuration: Configuration, files: list[Path], span: tuple[int, int], asked: Asked) -> None:
    from msgspec.structs import replace

    from stream.cli.progress import progress_steps
    from stream.configuration.repository import open_registry
    from stream.operations import retrain as operation
    from stream.operations.canary_events import CANARIES_FILE
    from stream.operations.promotion import in_force
    from stream.operations.retrain_kept import FOLDER
    from stream.operations.retrain_window import from_files, from_log, source_of, within

    registry = open_registry(configuration)
    present = registry.default()
    if not files:
        present = registry.get(in_force(configuration, registry).newest())
    work = Path(configuration.data_dir) / FOLDER
    asked = replace(asked, source=source_of(configuration, files, *span))
    with progress_steps() as step:
        done = operation.retrain(
            registry,
            present,
            lambda: within(
                from_files(files, configuration.profiles) if files else from_log(configuration), span[0], span[1]
            ),
            work,
            configuration.profiles,
            asked,
            step,
        )
    _print(present.card.version, done, asked, work.parent / CANARIES_FILE)


def _print(present: str, done: Retrained, asked: Asked, canaries: Path) -> None:
    console = output()
    span = f"{done.span.events:,} events from {done.span.first_day} to {done.span.last_day}"
    if done.window is None:
        console.print(f"went on with the window of a run that was interrupted: {span}")
    else:
        left_out = [f"{count:,} with an absurd {what}" for what, count in sorted(done.window.absurd.items())]
        left_out += [f"{done.window.refused:,} dead letters"] if done.window.refused else []
        console.print(f"window: {span}" + (f"; left out: {', '.join(left_out)}" if left_out else ""))
    drift = done.drift
    if drift is None:
        console.print(f"drift: no outcomes yet that {present} was not trained on")
    else:
        console.print(
            f"drift: at {drift.cutoff} {present} expected {drift.expected:.3f} of {drift.customers:,} customers not to "
            f"order in 30 days, {drift.happened:.3f} did not; calibration error beyond chance {drift.excess:.3f}"
        )
    if done.version is None:
        console.print(f"not beyond {asked.drift_bound}: nothing was trained")
        return
    if done.moves is None:
        console.print("canaries: too few customers to compare by")
    else:
        console.print(
            f"canaries: churn of {done.moves.customers:,} untrained customers moves by {done.moves.mean:.3f} in the "
            f"mean, of {done.moves.far_share:.1%} by more than {asked.canaries.far}"
        )
    number = done.version.number
    console.print(f"version {done.version.card.version} is in {done.version.folder}, and not in force")
    console.print(f"next: tidemark models compare {number} --events {canaries}", soft_wrap=True)
    console.print(f"      tidemark models promote {number} --events {canaries}", soft_wrap=True)


def _day(day: datetime | None, default: int) -> int:
    from stream.contracts.times import to_epoch_ms

    return default if day is None else to_epoch_ms(day.replace(tzinfo=UTC))

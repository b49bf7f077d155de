"""A progress bar on standard error for commands that go through a file.

Called by ingest, convert, simulate, replay and those that train. It shows nothing where standard error is no terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stream.cli.context import notes

if TYPE_CHECKING:
    from rich.progress import TaskID


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar for as long as the block runs; call what it gives with how much is done, and of how much if that is
    known."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:,.0f} " + unit),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    console = notes()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None, rate="")

        def update(done: int, total: int | None) -> None:
            speed = progress.tasks[task].speed
            progress.update(task, completed=done, total=total, rate=f"{speed:,.0f}/s" if speed else "")

        yield update


@contextmanager
def progress_steps(*, shown: bool = True) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each step of something long; call what it gives with the step, how much is done, and of how much.

    They are ``shown`` by one of several processes."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = notes()
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as progress:
        tasks: dict[str, TaskID] = {}

        def update(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done, total=total)

        yield update


@contextmanager
def progress_records() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each kind of record that is gone through, with records/s and the time left; call what it gives with the
    kind, how many are done, and of how many."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = notes()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def update(kind: str, done: int, total: int) -> None:
            if kind not in tasks:
                tasks[kind] = progress.add_task(kind, total=total, rate="")
            task = next(each for each in progress.tasks if each.id == tasks[kind])
            speed = task.finished_speed or task.speed
            progress.update(task.id, completed=done, total=total, rate=f"{speed:,.0f}/s" if speed else "")

        yield update

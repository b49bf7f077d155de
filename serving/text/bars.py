"""A progress bar for each stage of training, on standard error; nothing where that is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from serving.text.fit import Report

if TYPE_CHECKING:
    from rich.progress import TaskID


@contextmanager
def bars(*, shown: bool = True) -> Iterator[Report]:
    """Bars for as long as the block runs; call what it gives with the stage, how much is done, and of how much.

    They are ``shown`` by one of several processes."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as progress:
        stages: dict[str, TaskID] = {}

        def report(stage: str, done: int, of: int) -> None:
            if stage not in stages:
                stages[stage] = progress.add_task(stage, total=of)
            progress.update(stages[stage], completed=done, total=of)

        yield report

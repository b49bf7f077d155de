"""The demo's live display: three bars, and the alerts seen so far.

Called by `demo.py` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from stream.operations.demo import DemoProgress


@contextmanager
def demo_progress(console: Console) -> Iterator[Callable[[DemoProgress], None]]:
    """The display for as long as the block runs; call what it gives with how far the demo is."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from stream.operations.demo import LIVE_RATE
    from stream.operations.demo_events import LIVE_DAYS

    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:>7,.0f}"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        sent = bars.add_task("events sent", note="")
        folded = bars.add_task("folded into profiles", note="")
        decided = bars.add_task("scored and decided", note="")

        def update(progress: DemoProgress) -> None:
            note = "full speed" if progress.phase == "replaying" else f"last {LIVE_DAYS} days, {LIVE_RATE:g}/s"
            bars.update(sent, completed=progress.sent, total=progress.total, note=note)
            bars.update(folded, completed=progress.folded, total=max(progress.sent, progress.folded))
            bars.update(
                decided, completed=progress.decided, total=progress.asked, note=f"{progress.alerts:,} alert transitions"
            )

        yield update

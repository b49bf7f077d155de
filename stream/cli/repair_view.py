"""What `tidemark repair` shows, at 80 columns. The command is in `repair.py`, which alone calls this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stream.cli.context import output
from stream.cli.replay_view import show_comparison

if TYPE_CHECKING:
    from stream.operations.repairs.repair import Repaired
    from stream.operations.replays.compare import Comparison

_WORDS: Final = {
    "corrected": "alerts that should never have been: a transition `corrected` each",
    "revised": "alerts that say something else now",
    "raised": "alerts that were missing, and are open",
    "ended": "alerts that were missing, and are over",
    "predictions": "customers' views",
    "recommendations": "customers' lists",
    "profiles": "customers' profiles",
}


def show_forecast(found: Comparison, command: str) -> None:
    """What a repair would publish, as far as both have come, and the ``command`` that does it."""
    show_comparison(found)
    alerts, console = found.alerts, output()
    console.print(
        f"would publish {alerts.vanished + alerts.moved:,} corrections, {alerts.changed:,} revisions, "
        f"{alerts.appeared + alerts.moved:,} new alerts"
    )
    console.print("nothing was changed")
    console.print(f"next: stop the workers of role profiles, then `{command}`", markup=False)


def show_repaired(done: Repaired) -> None:
    """What was changed."""
    from rich.table import Table

    console = output()
    if not any(done.counts.values()):
        console.print("nothing differs: nothing was changed")
    else:
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, justify="right")
        table.add_column(overflow="fold")
        for count, words in _WORDS.items():
            if done.counts[count]:
                table.add_row(f"{done.counts[count]:,}", words)
        console.print(table)
    if done.left_out:
        console.print(
            f"[yellow]{done.left_out:,} customers were left as they are: the fallback had answered them, and what the "
            "model was asked later is not in a replay[/yellow]"
        )
    if done.left:
        console.print(f"[red]{done.left:,} records differ still: give the same command again[/red]")
    else:
        console.print("next: start the workers of role profiles")

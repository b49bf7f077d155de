"""What `tidemark explain` prints: a time line, one entry below the other. Called by `explain.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from stream.cli.context import output
from stream.operations.history.telling import told
from stream.operations.history.timeline import Answered, Fired, Happened, Transition, shown_of
from stream.operations.rendering import CONTROL_CHARACTERS

if TYPE_CHECKING:
    from stream.operations.history.timeline import Explanation

_STYLES = {Happened: "", Fired: "dim", Answered: "cyan", Transition: "bold"}


def show(explanation: Explanation, last: int) -> None:
    """Entries with the place each of them has in the log."""
    console = output()
    name = CONTROL_CHARACTERS.sub("\ufffd", explanation.customer_id)
    console.print(Text.assemble((f"customer {name}", "bold"), f", partition {explanation.partition}"))
    if explanation.log_begins:
        console.print(
            Text(f"the log begins at offset {explanation.log_begins:,}: what was before is not told", "yellow")
        )
    shown, before, after = shown_of(explanation, last)
    if before:
        console.print(Text(f"{before:,} entries before these: --last 0 shows all", "dim"))
    for entry in shown:
        at, title, lines, verdicts, place = told(entry, explanation.currency)
        mine = isinstance(entry, Transition) and entry.alert.alert_id == explanation.alert_id
        when = (at, "yellow" if mine else "dim")
        console.print(Text.assemble(when, "  ", (title, _STYLES[type(entry)]), (f"  [{place}]", "dim")))
        for line in lines:
            console.print(Padding(Text(line), (0, 0, 0, 4), expand=False))
        for line in verdicts:
            console.print(Padding(Text(line, "bold"), (0, 0, 0, 4), expand=False))
    if after:
        console.print(Text(f"{after:,} entries after these: --last 0 shows all", "dim"))

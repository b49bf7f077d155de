"""What `tidemark dead-letters` shows of groups, of one letter, of a change and of a run, at 80 columns.

Payloads come from strangers: nothing of them reaches the terminal but printable text. The commands are in
`dead_letters.py`, which alone calls this.
"""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click
import typer

from stream.cli.context import output

if TYPE_CHECKING:
    from stream.contracts.settlements import Settlement
    from stream.operations.dead_letters.fixes import Payload, Typed
    from stream.operations.dead_letters.groups import Group
    from stream.operations.dead_letters.judging import NotRedrivable
    from stream.operations.dead_letters.letters import Letter
    from stream.operations.dead_letters.redrive import Done
    from stream.operations.dead_letters.survey import Listed, State

SHOWN_LINES: Final = 200
SHOWN_CHARACTERS: Final = 1_000
"""Of one line: text without a line break may have 900 KiB."""
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_HINTS: Final = {
    "wrong_key": "--rekey makes the event's customer its key",
    "wrong_partition": "put back, it lies on the partition of its key",
    "too_late": "put back, it changes totals and histories, and raises nothing",
    "unknown_currency": "set exchange_rates, or --set currency=…",
    "unknown_type": "--set type=…",
    "missing_field": "--set FIELD=…",
    "wrong_shape": "such as --set 'items[*].price=number(@)'",
    "out_of_range": "such as --set 'time=@*1000' for seconds",
}
"""What mends a letter most often, by code."""


def show_listed(listed: Listed, state: State) -> None:
    """Groups, and how many letters are in which state."""
    if listed.groups:
        _print_groups(listed.groups, "code")
    said = [f"{listed.states.get(name, 0):,} {name}" for name in ("open", "redriven", "discarded")]
    typer.echo(", ".join(said))
    if listed.groups and state == "open":
        typer.echo(f"next: tidemark dead-letters show {listed.groups[0].example}")


def show_letter(letter: Letter, settlement: Settlement | None, refusal: NotRedrivable | None) -> None:
    """A letter with everything that is known of it."""
    from stream.contracts.times import to_rfc3339
    from stream.operations.rendering import minute

    verdict = letter.verdict
    typer.echo(_printable(f"{letter.place}  {letter.code} {letter.field}".rstrip()))
    if verdict is not None:
        typer.echo(_printable(verdict.message))
        if not letter.timer:
            typer.echo(_printable(f"from {letter.origin}, written {to_rfc3339(verdict.timestamp)}"))
        typer.echo(
            _printable(f"refused {minute(letter.refused_at)}, attempt {verdict.attempt}, by {verdict.worker_version}")
        )
        for name, content in verdict.headers:
            typer.echo(_printable(f"header {name}: {_text(content)}"))
    typer.echo(_printable(f"key {'none' if letter.key is None else _text(letter.key)}"))
    lines = [_printable(line) for line in _lines(letter.value)]
    typer.echo("\n".join(lines[:SHOWN_LINES]))
    if len(lines) > SHOWN_LINES:
        typer.echo(f"… {len(lines) - SHOWN_LINES:,} more lines: `tidemark dead-letters export {letter.place}` has all")
    typer.echo()
    _print_verdict(letter, settlement, refusal)


def show_change(
    letter: Letter,
    before: Payload,
    after: Payload | None,
    settlement: Settlement | None,
    refusal: NotRedrivable | None,
) -> None:
    """What a change does to a letter; None after it where it does not fit."""
    if after is not None:
        old, new = ([f"key {_text(each.key or b'')}", *_lines(each.value)] for each in (before, after))
        differing = list(difflib.unified_diff(old, new, n=1, lineterm=""))
        typer.echo("\n".join(map(_printable, differing[2:])) if differing else "nothing is changed")
    _print_verdict(letter, settlement, refusal)


def show_done(done: Done, did: str, next_step: str) -> None:
    """What a run did, or would do."""
    codes = ", ".join(f"{count:,} {code}" for code, count in done.by_code.items())
    would = "" if done.applied else "would be "
    typer.echo(f"{_letters(done.accepted)} {would}{did}" + (f": {codes}" if codes else ""))
    if done.not_open:
        typer.echo(f"{done.not_open:,} of the letters named are not open: settled before, or gone")
    if done.left:
        typer.echo(f"left open, {_letters(sum(group.letters for group in done.left))}:")
        _print_groups(done.left, "why")
        for group in done.left:
            typer.echo(_printable(f"{group.example}  {group.message}"))
    if done.applied:
        typer.echo(f"run {done.run}")
    elif done.accepted:
        typer.echo(f"nothing was written: {next_step}")


def typed(letter: Letter) -> Typed:
    """What somebody makes of a letter's payload in an editor.

    Raises:
        typer.BadParameter: it is no text.
    """
    from stream.operations.dead_letters.fixes import Payload, Typed, original

    key, value, headers = original(letter)
    try:
        (value or b"").decode()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(
            f"{letter.place} is no text: export it, and mend the base64", param_hint="LETTER"
        ) from error
    edited = click.edit("\n".join(_pretty(value)), extension=".json")
    return Typed(Payload(key, value if edited is None else _compact(edited), headers))


def _letters(count: int) -> str:
    return "1 letter" if count == 1 else f"{count:,} letters"


def _print_groups(groups: list[Group], title: str) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for name in ("letters", title, "field", "first", "last", "example"):
        table.add_column(
            name, justify="right" if name == "letters" else "left", overflow="fold", no_wrap=name != "field"
        )
    for group in groups:
        table.add_row(
            f"{group.letters:,}",
            group.code,
            Text(_printable(group.field)),
            _short(group.first),
            _short(group.last),
            group.example,
        )
    output().print(table)


def _short(moment: int) -> str:
    """Without the year: letters are kept for a month."""
    from stream.operations.rendering import minute

    return minute(moment)[5:]


def _print_verdict(letter: Letter, settlement: Settlement | None, refusal: NotRedrivable | None) -> None:
    from stream.operations.rendering import minute

    if settlement is not None:
        how = f", {settlement.fix}" if settlement.fix else f": {settlement.reason}" if settlement.reason else ""
        typer.echo(_printable(f"{settlement.outcome} {minute(settlement.settled_at)} by {settlement.actor}{how}"))
    elif refusal is None:
        typer.echo("validation accepts it now")
    else:
        field = f" at {refusal.field}" if refusal.field else ""
        typer.echo(_printable(f"it cannot be put back ({refusal.code}{field}): {refusal}"))
        if hint := _HINTS.get(refusal.code):
            typer.echo(f"what mends most: {hint}")


def _lines(value: bytes | None) -> list[str]:
    if value is None:
        return ["no value"]
    return _pretty(value)


def _pretty(value: bytes | None) -> list[str]:
    """JSON with a line for each field, numbers as they were written; else the text."""
    import msgspec

    with suppress(msgspec.DecodeError, RecursionError):
        value = msgspec.json.format(value or b"", indent=2)
    return _text(value or b"").split("\n")


def _compact(text: str) -> bytes:
    import msgspec

    try:
        return msgspec.json.format(text, indent=-1).encode()
    except (msgspec.DecodeError, RecursionError):
        return text.encode()


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _printable(text: str) -> str:
    """One line. Control characters would break a line of the terminal, or command it."""
    more = len(text) - SHOWN_CHARACTERS
    shown = _UNPRINTABLE.sub("\ufffd", text[:SHOWN_CHARACTERS])
    return f"{shown} … {more:,} more characters" if more > 0 else shown

"""The options by which the commands of `tidemark dead-letters` know which letters are meant and how to change them.

It only reads what was typed; the commands are in `dead_letters.py`, which alone calls this.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.durations import moment_of

if TYPE_CHECKING:
    from stream.configuration.settings import TopicSettings
    from stream.operations.dead_letters.filters import Filter
    from stream.operations.dead_letters.fixes import Change
    from stream.operations.dead_letters.letters import Place

Letters = Annotated[
    list[str] | None,
    typer.Argument(metavar="LETTER", help="One by one, as `list` shows them: 3:1207.", show_default=False),
]
OneLetter = Annotated[str, typer.Argument(metavar="LETTER", help="As `list` shows it: 3:1207.")]
Code = Annotated[list[str] | None, typer.Option(help="Why it was refused, such as too_late.", show_default=False)]
Field = Annotated[
    list[str] | None,
    typer.Option(metavar="PATH", help="Such as '$.items[*].price', * for any line.", show_default=False),
]
From = Annotated[
    list[str] | None,
    typer.Option(
        "--origin",
        metavar="TOPIC[/PARTITION[/FIRST-LAST]]",
        help="Where the refused record lay, such as events/3/1000-2000.",
        show_default=False,
    ),
]
Since = Annotated[
    str,
    typer.Option(metavar="WHEN", help="Refused then or later: 90m, 12h, 7d ago, or 2026-03-01.", show_default=False),
]
Until = Annotated[str, typer.Option(metavar="WHEN", help="Refused before then.", show_default=False)]
Patch = Annotated[
    str,
    typer.Option(
        metavar="JSON", help="An object is merged (RFC 7396), an array is a JSON Patch (RFC 6902).", show_default=False
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Such as currency=GBP, 'time=@*1000' or 'items[*].price=number(@)'; @ is what the field holds, $.name "
        "another field; number, text, lower, upper, trim, abs.",
        show_default=False,
    ),
]
Rekey = Annotated[bool, typer.Option("--rekey", help="Make the event's customer (else visitor) the record's key.")]
File = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Letters as `export` or `edit` wrote them.", show_default=False),
]
Apply = Annotated[bool, typer.Option("--apply", help="Do it. Without it nothing is written.")]
Actor = Annotated[str, typer.Option(help="Who; it is kept.", show_default="you")]
Json = Annotated[bool, typer.Option("--json", help="For scripts.")]


def wanted(
    topics: TopicSettings,
    letters: Iterable[str] | None = None,
    codes: Iterable[str] | None = None,
    fields: Iterable[str] | None = None,
    origins: Iterable[str] | None = None,
    since: str = "",
    until: str = "",
) -> Filter:
    """The filter that was typed.

    Raises:
        InvalidFilter, UnknownTopicError, typer.BadParameter: nothing can be meant by it.
    """
    from stream.operations.dead_letters.filters import Filter, check_code, read_origin

    now = int(time.time() * 1000)
    return Filter(
        codes=tuple(map(check_code, codes or ())),
        fields=tuple(fields or ()),
        origins=tuple(read_origin(text, topics) for text in origins or ()),
        since=moment_of(since, "--since", now) if since else None,
        until=moment_of(until, "--until", now) if until else None,
        places=frozenset(map(place, letters or ())),
    )


def place(text: str) -> Place:
    """Where the letter lies that was typed.

    Raises:
        InvalidFilter: it is none.
    """
    from stream.operations.dead_letters.filters import read_place

    return read_place(text)


def change(patch: str, expressions: Iterable[str] | None, rekey: bool) -> Change:
    """The change that was typed.

    Raises:
        InvalidPatch, InvalidExpression: it is none.
    """
    from stream.operations.dead_letters.fixes import Change

    return Change(patch, list(expressions or ()), rekey)

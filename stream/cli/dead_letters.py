"""`tidemark dead-letters`: look at what was refused, mend it, put it back once, or discard it."""

from __future__ import annotations

import getpass
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stream.cli import dead_letters_options as options
from stream.cli.context import loaded, notes
from stream.cli.dead_letters_view import show_change, show_done, show_letter, show_listed, typed
from stream.cli.exits import while_read

if TYPE_CHECKING:
    from stream.operations.dead_letters.fixes import Fix

app = typer.Typer(help="What was refused: look at it, mend it, put it back once, or discard it.", no_args_is_help=True)


@app.command("list")
def list_letters(
    context: typer.Context,
    letters: options.Letters = None,
    code: options.Code = None,
    field: options.Field = None,
    origin: options.From = None,
    since: options.Since = "",
    until: options.Until = "",
    state: Annotated[
        Literal["open", "redriven", "discarded", "any"], typer.Option(help="What became of them.")
    ] = "open",
    as_json: options.Json = False,
) -> None:
    """How many dead letters there are, and why."""
    import msgspec

    from stream.operations.dead_letters.survey import Survey

    configuration = loaded(context).configuration
    which = options.wanted(configuration.topics, letters, code, field, origin, since, until)
    with Survey(configuration) as survey:
        listed = survey.listed(which, state)
    if as_json:
        typer.echo(msgspec.json.encode(listed))
    else:
        show_listed(listed, state)


@app.command()
def show(context: typer.Context, letter: options.OneLetter, as_json: options.Json = False) -> None:
    """One letter: why it was refused, its headers and payload, and whether it would be accepted now."""
    from stream.operations.dead_letters.exported import exported
    from stream.operations.dead_letters.fixes import Change
    from stream.operations.dead_letters.redrive import now
    from stream.operations.dead_letters.survey import Survey

    place = options.place(letter)
    with Survey(loaded(context).configuration) as survey:
        found, settlement = survey.letter(place)
        refusal = survey.judge().refusal(found, Change(), now())
    if as_json:
        typer.echo(exported(found), nl=False)
    else:
        show_letter(found, settlement, refusal)


@app.command()
def export(
    context: typer.Context,
    letters: options.Letters = None,
    to: Annotated[
        Path,
        typer.Option(
            "--to", metavar="FILE", help=".jsonl, also with .gz, .xz or .bz2 behind it; - for standard output."
        ),
    ] = Path("-"),
    code: options.Code = None,
    field: options.Field = None,
    origin: options.From = None,
    since: options.Since = "",
    until: options.Until = "",
) -> None:
    """Write open letters as JSON lines, to mend them and give them to `redrive --from`."""
    from stream.operations.dead_letters.exported import exported
    from stream.operations.dead_letters.survey import Survey
    from stream.operations.files import whole_file

    configuration = loaded(context).configuration
    which = options.wanted(configuration.topics, letters, code, field, origin, since, until)
    written = 0
    with while_read(), Survey(configuration) as survey, whole_file(to) as file:
        for letter in survey.letters(which):
            file.write(exported(letter))
            written += 1
    notes().print(f"{written:,} letters written")


@app.command()
def edit(
    context: typer.Context,
    letter: options.OneLetter,
    patch: options.Patch = "",
    expression: options.Set = None,
    rekey: options.Rekey = False,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="Write the mended letter, for `redrive --from`.", show_default=False),
    ] = None,
) -> None:
    """Change one letter, in $EDITOR or by a patch, and see the difference and what validation says. Nothing is sent."""
    from stream.operations.dead_letters.exported import exported
    from stream.operations.dead_letters.fixes import original
    from stream.operations.dead_letters.redrive import now
    from stream.operations.dead_letters.survey import Survey
    from stream.operations.files import whole_file

    change = options.change(patch, expression, rekey)
    place = options.place(letter)
    with Survey(loaded(context).configuration) as survey:
        found, settlement = survey.letter(place)
        fix: Fix = change if patch or expression or rekey else typed(found)
        refusal = survey.judge().refusal(found, fix, now())
    mended = None if refusal is not None and refusal.code == "fix_failed" else fix.apply(found)
    show_change(found, original(found), mended, settlement, refusal)
    if to is not None and mended is not None:
        with whole_file(to) as file:
            file.write(exported(found, mended))
        next_step = f"; next: tidemark dead-letters redrive --from {to} --apply" if refusal is None else ""
        notes().print(f"{to} written{next_step}", soft_wrap=True)


@app.command()
def redrive(
    context: typer.Context,
    letters: options.Letters = None,
    code: options.Code = None,
    field: options.Field = None,
    origin: options.From = None,
    since: options.Since = "",
    until: options.Until = "",
    patch: options.Patch = "",
    expression: options.Set = None,
    rekey: options.Rekey = False,
    source: options.File = None,
    apply: options.Apply = False,
    actor: options.Actor = "",
    as_json: options.Json = False,
) -> None:
    """Put open letters back that validation accepts now: once each, also when this is killed and given again.

    Without --apply it only says how many would be accepted, and why the others would not.
    """
    import msgspec

    from stream.cli.progress import progress_bar
    from stream.operations.dead_letters.exported import Edited
    from stream.operations.dead_letters.redrive import Run
    from stream.operations.dead_letters.redrive import redrive as put_back

    if source is not None and (patch or expression or rekey or letters):
        raise typer.BadParameter(
            "the file says which letters and how they are mended: leave out the others", param_hint="--from"
        )
    configuration = loaded(context).configuration
    which = options.wanted(configuration.topics, letters, code, field, origin, since, until)
    with ExitStack() as stack:
        fix: Fix = options.change(patch, expression, rekey)
        if source is not None:
            fix = edited = stack.enter_context(Edited(source))
            which = msgspec.structs.replace(which, places=edited.places)
        update = stack.enter_context(progress_bar("re-driving" if apply else "trying", "letters"))
        run = Run(apply=apply, actor=actor or getpass.getuser(), on_progress=lambda looked: update(looked, None))
        done = put_back(configuration, which, fix, run)
    if as_json:
        typer.echo(msgspec.json.encode(done))
    else:
        show_done(done, "re-driven", "the same command with --apply re-drives them")


@app.command()
def discard(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; it is kept.", show_default=False)],
    letters: options.Letters = None,
    code: options.Code = None,
    field: options.Field = None,
    origin: options.From = None,
    since: options.Since = "",
    until: options.Until = "",
    everything: Annotated[bool, typer.Option("--all", help="Every open letter.")] = False,
    apply: options.Apply = False,
    actor: options.Actor = "",
    as_json: options.Json = False,
) -> None:
    """Settle letters without putting them back. They stay on the topic until its retention ends."""
    import msgspec

    from stream.cli.progress import progress_bar
    from stream.operations.dead_letters.redrive import Run
    from stream.operations.dead_letters.redrive import discard as settle

    configuration = loaded(context).configuration
    which = options.wanted(configuration.topics, letters, code, field, origin, since, until)
    if which.everything != everything:
        raise typer.BadParameter("say which letters, or --all for every open one", param_hint="--all")
    with progress_bar("discarding" if apply else "trying", "letters") as update:
        run = Run(apply=apply, actor=actor or getpass.getuser(), on_progress=lambda looked: update(looked, None))
        done = settle(configuration, which, reason, run)
    if as_json:
        typer.echo(msgspec.json.encode(done))
    else:
        show_done(done, "discarded", "the same command with --apply discards them")

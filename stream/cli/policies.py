"""`tidemark policies`: what is decided about alerts and recommendations, as a file: checked, tried, applied."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.context import loaded, notes, output

app = typer.Typer(
    help="What is decided about alerts and recommendations, as a file: check it, try it on the log, apply it.",
    no_args_is_help=True,
    subcommand_metavar="COMMAND",
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="TOML: a table [policies], or all of it.")]
Json = Annotated[bool, typer.Option("--json", help="For scripts.")]


@app.command()
def check(file: File) -> None:
    """Read a file, and say in which line it is wrong. Ends with 2 when it is. No Kafka is asked."""
    from stream.configuration.load import load_policies
    from stream.decisions.policies import Policies
    from stream.decisions.policy_history import name_of
    from stream.operations.policies import differences

    policies = load_policies(file)
    set_here = len(differences(Policies(), policies))
    output().print(f"{file} can be used: policies {name_of(policies)}, {set_here} values other than the defaults")


@app.command()
def diff(
    context: typer.Context,
    file: File,
    other: Annotated[
        Path | None, typer.Argument(metavar="OTHER", help="Default: what was applied last.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """What a file says otherwise than what was applied last, or than another file. Ends with 1 when it does."""
    import msgspec

    from stream.cli.exits import Exit
    from stream.cli.policies_view import show_differences
    from stream.configuration.load import load_policies
    from stream.operations.policies import differences, history

    policies = load_policies(file)
    if other is None:
        found = differences(history(loaded(context).configuration).newest(), policies)
    else:
        found = differences(policies, load_policies(other))
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        show_differences(found)
    if found:
        raise typer.Exit(Exit.PROMISE_BROKEN)


@app.command()
def simulate(
    context: typer.Context,
    file: File,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="WHEN", help="As of `tidemark replay`. Default: all.", show_default=False),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="Default: what is there now.", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the replay. Default: made from the time.", show_default=False)
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="Of each kind of difference, at most.")] = 5,
    as_json: Json = False,
) -> None:
    """What the file would have changed: a replay of the questions that were put, held against what was said.

    The replay stays, for `tidemark compare` and `tidemark explain`, until `tidemark replay drop`.
    """
    import msgspec

    from stream.cli.replay import moment_or_offsets, one_thread, work_on
    from stream.cli.replay_view import show_comparison
    from stream.configuration.load import load_policies
    from stream.operations.replays.begin import Wanted, begin
    from stream.operations.replays.compare import compare

    one_thread()
    configuration, policies = loaded(context).configuration, load_policies(file)
    made = begin(
        configuration,
        name or f"policies-{time.strftime('%m%d-%H%M%S', time.gmtime())}",
        Wanted(
            source="requests",
            since=moment_or_offsets(since, "--from"),
            until=moment_or_offsets(until, "--to"),
            policies=policies,
        ),
    )
    work_on(configuration, made, tell=not as_json)
    found = compare(configuration, "live", made.id, examples)
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        show_comparison(found)


@app.command()
def apply(
    context: typer.Context,
    file: File,
    reason: Annotated[str, typer.Option(help="Why; it is kept with the change.", show_default=False)],
    effective_at: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Event time from which on questions are judged by it (2026-11-02T08:00, or 12h ago). Default: in 5 "
            "seconds.",
            show_default=False,
        ),
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Who; default: the user's name.", show_default=False)] = None,
) -> None:
    """Bring a file into force for all workers, without a restart, and keep the change on the control topic."""
    from stream.cli.durations import moment_of
    from stream.cli.policies_view import show_applied, show_differences
    from stream.configuration.load import load_policies
    from stream.operations.policies import apply as bring_into_force
    from stream.operations.policies import differences, history

    configuration, policies = loaded(context).configuration, load_policies(file)
    found = differences(history(configuration).newest(), policies)
    if not found:
        notes().print("nothing to change: these policies were applied last")
        return
    show_differences(found)
    at = None if effective_at is None else moment_of(effective_at, "--effective-at", int(time.time() * 1000))
    said = bring_into_force(configuration, policies, effective_at=at, reason=reason, actor=actor or getpass.getuser())
    show_applied(said)


@app.command("list")
def list_changes(context: typer.Context, as_json: Json = False) -> None:
    """Every change so far: from when on, who, why."""
    import msgspec

    from stream.cli.policies_view import show_changes
    from stream.operations.switches import policy_changes

    found = policy_changes(loaded(context).configuration)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    show_changes(found)


@app.command()
def show(
    context: typer.Context,
    at: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Event time. Default: what was applied last.", show_default=False),
    ] = None,
) -> None:
    """The policies, as a file that can be applied again."""
    from stream.cli.durations import moment_of
    from stream.cli.policies_view import as_toml
    from stream.operations.policies import history

    found = history(loaded(context).configuration)
    now = int(time.time() * 1000)
    typer.echo(as_toml(found.newest() if at is None else found.at(moment_of(at, "--at", now))), nl=False)

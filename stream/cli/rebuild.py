"""`tidemark rebuild`: folds the whole log anew, and takes the result over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.context import loaded
from stream.cli.repair import put_right
from stream.cli.repair_view import show_forecast
from stream.cli.replay import work_on

if TYPE_CHECKING:
    from stream.configuration.settings import Configuration
    from stream.operations.replays.record import Replay


def rebuild(
    context: typer.Context,
    apply: Annotated[
        bool, typer.Option("--apply", help="Take it over. Otherwise only fold, beside the live state.")
    ] = False,
    name: Annotated[str, typer.Option(metavar="NAME", help="Of the replay that folds.")] = "rebuild",
    reason: Annotated[
        str, typer.Option(help="Every transition that is published says it.")
    ] = "the log was folded anew",
    wait: Annotated[float, typer.Option(min=0.0, metavar="SECONDS", help="For workers that are leaving.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Fold the whole log with the installed build, beside the live state; with --apply take the result over.

    For a build with another version of the fold, which cannot use the live state. First without --apply, while the old
    workers go on: it says what changes. Then stop those of role profiles, give it with --apply, and start the new ones.
    It can be killed and given again; `tidemark replay drop rebuild` takes it away.
    """
    import msgspec

    from stream.operations.replays.compare import compare

    configuration = loaded(context).configuration
    replay = _folded(configuration, name)
    if apply:
        put_right(configuration, replay.id, reason, wait, as_json)
        return
    found = compare(configuration, "live", name, examples=5)
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        show_forecast(found, "tidemark rebuild --apply")


def _folded(configuration: Configuration, name: str) -> Replay:
    """The replay of that name, made if there is none, and done."""
    from stream.operations.brokers import connect_admin
    from stream.operations.repairs.repair import refuse_unfit
    from stream.operations.replays.begin import Wanted, begin
    from stream.operations.replays.record import ids, read

    known = name in ids(configuration, connect_admin(configuration.kafka))
    replay = read(configuration, name) if known else begin(configuration, name, Wanted())
    refuse_unfit(replay)
    if not replay.done_at:
        work_on(configuration, replay)
    return read(configuration, name)

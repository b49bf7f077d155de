"""`tidemark models`: the versions of the model, which is in force, and how another one comes into force."""

from __future__ import annotations

import getpass
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.context import loaded, notes, output
from stream.cli.durations import seconds_of
from stream.cli.models_view import show_card, show_impact, show_switch, show_verdict

if TYPE_CHECKING:
    from serving.gate.verdict import Verdict
    from serving.registry import RegisteredVersion, Registry
    from stream.configuration.settings import Configuration

app = typer.Typer(
    help="The versions of the model: which is in force, and how another one comes into force.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="For scripts.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="Such as 2, or 2.c594bb2e.")]
Events = Annotated[
    list[Path] | None,
    typer.Option(
        help="Canonical events to compare on. Default: what the last `tidemark retrain` left for it, else the demo's.",
        show_default=False,
    ),
]
Cutoff = Annotated[
    list[datetime] | None,
    typer.Option(
        formats=["%Y-%m-%d"],
        help="Score with what was known before this day; repeat. Default: five, 90 to 210 days before the end.",
        show_default=False,
    ),
]


@app.command("list")
def list_versions(context: typer.Context, as_json: Json = False) -> None:
    """Every version, its figures, and which is in force."""
    import msgspec
    from rich.table import Table

    from stream.configuration.repository import open_registry
    from stream.operations.models import listed

    configuration = loaded(context).configuration
    found = listed(configuration, open_registry(configuration))
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("version", "data until", "AUC", "Brier", "ECE", "at", "features", "Triton", "in force"):
        table.add_column(title, no_wrap=True, justify="right" if title in ("AUC", "Brier", "ECE") else "left")
    for version in found.versions:
        figures = [
            f"{version.figures[name]:.3f}"[1:] if name in version.figures else "-" for name in ("auc", "brier", "ece")
        ]
        share = "" if not version.share else f"{version.share:.0%}"
        table.add_row(
            version.version,
            version.trained_until,
            *figures,
            version.cutoff[2:],
            "same" if version.same_features else "[red]other[/red]",
            version.triton,
            "?" if version.share is None else f"[green]{share}[/green]",
        )
    output().print(table)
    for number, wrong in found.unreadable.items():
        notes().print(f"[red]{number}[/red]: {wrong}", markup=True)
    for remark in found.remarks:
        notes().print(f"[yellow]{remark}[/yellow]")


@app.command()
def show(context: typer.Context, version: Version, as_json: Json = False) -> None:
    """What is known of a version: data, periods, figures with their intervals, thresholds, licence."""
    import msgspec

    card = _registry(context).get(version).card
    if as_json:
        typer.echo(msgspec.json.encode(card))
        return
    show_card(card)


@app.command()
def compare(
    context: typer.Context,
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="Such as 2, or 2.c594bb2e.")],
    present: Annotated[
        str | None, typer.Argument(metavar="[PRESENT]", help="Default: the one in force.", show_default=False)
    ] = None,
    events: Events = None,
    cutoff: Cutoff = None,
    as_json: Json = False,
) -> None:
    """Hold one version against another on the same customers; what `promote` would say to it."""
    import msgspec

    from stream.cli.exits import Exit

    configuration, registry = loaded(context).configuration, _registry(context)
    against = registry.get(present) if present else _in_force(configuration, registry)
    verdict = _judged(configuration, registry.get(candidate), against, events, cutoff)
    if as_json:
        typer.echo(msgspec.json.encode(verdict))
    else:
        show_verdict(verdict)
    if not verdict.passed:
        raise typer.Exit(Exit.REFUSED)


@app.command()
def promote(
    context: typer.Context,
    version: Version,
    events: Events = None,
    cutoff: Cutoff = None,
    change_share: Annotated[
        float, typer.Option(help="Share of the open alerts that may change an hour.", min=0.001, max=1.0)
    ] = 0.1,
    ramp: Annotated[
        str,
        typer.Option(metavar="LENGTH", help="Take so long at least, such as 90m, 6h or 2d.", show_default=False),
    ] = "",
    accept_worse: Annotated[
        list[str] | None,
        typer.Option(metavar="BASKETS", help="Promote though it is worse for these customers, such as '2 to 4'."),
    ] = None,
    accept_undecided: Annotated[
        bool, typer.Option("--accept-undecided", help="Promote though there are too few customers to tell.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the control topic.")] = "",
    actor: Annotated[str, typer.Option(help="Who; kept as well.", show_default="you")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Bring a version into force: compared, loaded beside the present one, then switched by and by.

    It is refused where it is worse than the one in force. Workers follow within seconds; nothing is stopped.
    """
    from stream.decisions.policy_history import PolicyHistory
    from stream.operations.impact import impact
    from stream.operations.promotion import NotPromoted, check_graphs, check_verdict, in_force, load, needed_now, switch
    from stream.operations.switches import policy_changes

    configuration, registry = loaded(context).configuration, _registry(context)
    asked_ms = int(seconds_of(ramp, "--ramp", "mhd") * 1000) if ramp else 0
    candidate, rollout = registry.get(version), in_force(configuration, registry)
    if rollout.newest() == candidate.card.version:
        raise NotPromoted(f"version {candidate.card.version} is in force already, or on its way")
    present = registry.get(rollout.newest())
    check_graphs(configuration, registry, candidate)
    verdict = _judged(configuration, candidate, present, events, cutoff)
    show_verdict(verdict)
    check_verdict(verdict, accept_worse or (), accept_undecided)
    with notes().status("looking at the open alerts"):
        policies = PolicyHistory(configuration.policies, policy_changes(configuration)).newest()
        found = impact(configuration, candidate, policies.in_force(candidate.card))
    ramp_ms = max(found.ramp_ms(change_share), asked_ms)
    show_impact(found, change_share, ramp_ms)
    if dry_run:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise NotPromoted(f"version {candidate.card.version} was not promoted: nobody to ask; say --yes")
        typer.confirm(f"bring version {candidate.card.version} into force?", abort=True)
    with notes().status("Triton loads it"):
        load(configuration, registry, candidate, needed_now(rollout))
    said = switch(
        configuration,
        candidate.card.version,
        rollout.newest(),
        ramp_ms=ramp_ms,
        reason=reason,
        actor=actor or getpass.getuser(),
    )
    show_switch(said.version, said.effective_at, ramp_ms)


@app.command()
def rollback(
    context: typer.Context,
    to: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Default: the one before the last switch.", show_default=False),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the control topic.")] = "",
    actor: Annotated[str, typer.Option(help="Who; kept as well.", show_default="you")] = "",
) -> None:
    """Bring the version before back into force, for everybody at once and without the gate."""
    from stream.operations.promotion import NotPromoted, in_force, load, needed_now, switch

    configuration, registry = loaded(context).configuration, _registry(context)
    rollout = in_force(configuration, registry)
    if to is None:
        to = rollout.before()
        if not to:
            raise NotPromoted(
                f"version {rollout.newest()} is the first that was in force: there is none to go back to; name one "
                "with --to, or promote one"
            )
    version = registry.get(to)
    if version.card.version == rollout.newest():
        raise NotPromoted(f"version {version.card.version} is in force already")
    with notes().status("Triton loads it"):
        load(configuration, registry, version, needed_now(rollout))
    said = switch(
        configuration, version.card.version, rollout.newest(), reason=reason, actor=actor or getpass.getuser()
    )
    show_switch(said.version, said.effective_at, 0)


@app.command()
def pull(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A version folder, or a .tar.gz of one.")],
) -> None:
    """Take a version into the repository, under the next number. It answers nobody until it is promoted."""
    from stream.operations.models import pull as take_in

    version, new = take_in(_registry(context), source)
    already = "" if new else " already: nothing was added"
    typer.echo(f"version {version.card.version} is in {version.folder}{already}")
    typer.echo(f"compare it: tidemark models compare {version.number}")


@app.command()
def refresh(
    context: typer.Context,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Default: the one in force.", show_default=False)
    ] = None,
    events: Annotated[
        list[Path] | None,
        typer.Option(help="Canonical events. Default: the events topic.", show_default=False),
    ] = None,
) -> None:
    """Learn anew what sells and what goes together, and leave the network as it is: a version to promote, in seconds.

    Popularity and companions age within weeks, the network within months.
    """
    from serving.refresh import refresh as learn_anew
    from stream.operations.retrain_window import from_files, from_log

    configuration, registry = loaded(context).configuration, _registry(context)
    present = registry.get(version) if version else _in_force(configuration, registry)
    with notes().status("reading events"):
        read = from_files(events, configuration.profiles) if events else from_log(configuration)
        known = [event for event in read if event is not None]
        card = learn_anew(present.folder, known, configuration.profiles, registry.next_number())
    typer.echo(f"version {card.version} has the network of {present.card.version} and newer item statistics")
    typer.echo(f"next: tidemark models promote {card.repository_version}")


def _registry(context: typer.Context) -> Registry:
    from stream.configuration.repository import open_registry

    return open_registry(loaded(context).configuration)


def _in_force(configuration: Configuration, registry: Registry) -> RegisteredVersion:
    from stream.operations.brokers import KafkaUnreachableError, MissingTopicError
    from stream.operations.promotion import in_force

    try:
        return registry.get(in_force(configuration, registry).newest())
    except (KafkaUnreachableError, MissingTopicError):
        version = registry.default()
        notes().print(f"[dim]no Kafka answers; compared with {version.card.version}, which is served by default[/dim]")
        return version


def _judged(
    configuration: Configuration,
    candidate: RegisteredVersion,
    present: RegisteredVersion,
    events: list[Path] | None,
    cutoff: list[datetime] | None,
) -> Verdict:
    from datetime import UTC

    from serving.gate.comparison import judge
    from stream.contracts.times import to_epoch_ms
    from stream.operations.canary_events import compared_on

    found = compared_on(configuration, events or [])
    notes().print(f"[dim]compared on {found.source}[/dim]", soft_wrap=True)
    with notes().status("reading events") as shown:
        history = sorted(found.events, key=lambda event: to_epoch_ms(event.time))
        cutoffs = [to_epoch_ms(day.replace(tzinfo=UTC)) for day in cutoff or ()]
        return judge(candidate, present, history, cutoffs, configuration.profiles, shown.update)

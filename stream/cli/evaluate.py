"""`tidemark evaluate`: the model beside the baselines, at moments of a recorded history."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from stream.cli.context import loaded, notes, output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.configuration.settings import Configuration


class _AlertsAsked(NamedTuple):
    cutoffs: Sequence[int]
    """Epoch milliseconds."""
    rows: Path | None


def evaluate(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE…", help="Canonical events. Default: the demo's sample, unseen by the model."),
    ] = None,
    events: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Canonical events too: .jsonl, .jsonl.gz, .parquet.", show_default=False),
    ] = None,
    cutoff: Annotated[
        list[datetime] | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="UTC day to score at, as often as wanted. Default: 180 and 90 days back."
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write a row for every eligible customer (parquet).", show_default=False),
    ] = None,
    items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The shop's catalogue (.jsonl).", show_default=False)
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="OUT", help="Predictions of another model at this cut-off.", show_default=False),
    ] = None,
    alerts: Annotated[
        bool, typer.Option("--alerts", help="What the alerts from the cut-off on would have been worth instead.")
    ] = False,
    rows: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="With --alerts: write a row an episode (.parquet, .csv).", show_default=False),
    ] = None,
    segments: Annotated[bool, typer.Option("--segments", help="Figures by kind of customer too.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write a report for people: FILE.html, or a folder.", show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="Such as 2, 2.c594bb2e, promoted, or a version folder. Default: the lowest that Triton loads.",
            show_default=False,
        ),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Model repository. Default: the one in use.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Measure the model: score customers at some moments and compare with what they did next.

    Figures at cut-offs that the model was trained on flatter it; its card says until when that is.
    """
    from datetime import UTC

    import msgspec

    from serving.evaluation.episodes import ROWS_SUFFIXES
    from serving.history import read_events
    from serving.registry import Registry
    from stream.cli.evaluate_view import print_figures
    from stream.configuration.repository import open_registry
    from stream.contracts.times import to_epoch_ms
    from stream.operations.catalogue_items import read_items
    from stream.operations.demo_events import sample
    from stream.operations.evaluate import Asked, evaluate_model
    from stream.operations.evaluate_report import write_report
    from stream.operations.models import measured

    if rows is not None and not alerts:
        raise typer.BadParameter("rows are of alerts: give --alerts too", param_hint="--rows")
    if rows is not None and rows.suffix not in ROWS_SUFFIXES:
        raise typer.BadParameter(f"{rows} must end in {' or '.join(ROWS_SUFFIXES)}", param_hint="--rows")
    of_figures = {
        "--report": report is not None,
        "--segments": segments,
        "--predictions": predictions is not None,
        "--against": bool(against),
        "--items": items is not None,
    }
    if alerts and (unfit := [name for name, given in of_figures.items() if given]):
        raise typer.BadParameter(f"{', '.join(unfit)} is of figures, not of alerts: leave it or --alerts out")
    if (predictions is not None or against) and len(cutoff or ()) != 1:
        raise typer.BadParameter("predictions are of one moment: give --cutoff once", param_hint="--cutoff")
    configuration = loaded(context).configuration
    given = [*(files or ()), *(events or ())]
    asked = Asked(
        cutoffs=[to_epoch_ms(day.replace(tzinfo=UTC)) for day in cutoff or ()],
        items=read_items(items) if items is not None else [],
        predictions=predictions,
        against=against or [],
        detailed=segments or report is not None,
        high_value_from=configuration.policies.high_value_from,
    )
    registry = Registry(models, configuration.triton.model) if models else open_registry(configuration)
    folder = measured(configuration, registry, model)
    if alerts:
        _alerts(configuration, given, folder, _AlertsAsked(asked.cutoffs, rows), as_json)
        return
    with notes().status("evaluating") as shown:
        found = evaluate_model(
            read_events(given, configuration.profiles) if given else sample(),
            folder,
            asked,
            configuration.profiles,
            lambda what: shown.update(what),
        )
    if report is not None:
        written = write_report(report, found)
        plots = f"{len(written) - 1} plots beside it" if written[1:] else "plots as PNG need the extra `report`"
        notes().print(f"report in {written[0]}; {plots}")
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    print_figures(output(), found)
    if not given:
        notes().print("[dim]on the demo's sample: real orders of customers that the model was not trained on[/dim]")
    if predictions is not None:
        notes().print(f"{found.cutoffs[0].customers:,} customers in {predictions}")


def _alerts(configuration: Configuration, given: list[Path], folder: Path, asked: _AlertsAsked, as_json: bool) -> None:
    import msgspec

    from serving.evaluation.episodes import write_episodes
    from serving.history import read_events
    from stream.cli.evaluate_view import alert_notes, print_alerts
    from stream.operations.demo_events import sample
    from stream.operations.evaluate_alerts import evaluate_alerts

    with notes().status("evaluating") as shown:
        found = evaluate_alerts(
            read_events(given, configuration.profiles) if given else sample(),
            folder,
            min(asked.cutoffs, default=None),
            configuration.profiles,
            configuration.policies,
            shown.update,
        )
    if asked.rows is not None:
        write_episodes(asked.rows, found.episodes)
        notes().print(f"{len(found.episodes):,} episodes in {asked.rows}")
    if as_json:
        typer.echo(msgspec.json.encode(msgspec.structs.replace(found, episodes=[])))
        return
    print_alerts(output(), found)
    for line in alert_notes(found):
        notes().print(line, style="dim")

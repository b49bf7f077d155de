"""`tidemark evaluate`: the model beside simple baselines, at moments of a recorded history."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.context import loaded, notes, output


def evaluate(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE…", help="Canonical events. Default: the demo's sample, unseen by the model."),
    ] = None,
    cutoff: Annotated[
        list[datetime] | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="UTC day to score at, as often as wanted. Default: 180 and 90 days back."
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

    from serving.history import read_events
    from serving.model_card import model_repository, version_folder
    from stream.cli.progress import progress_bar
    from stream.contracts.times import to_epoch_ms
    from stream.operations.demo_events import sample
    from stream.operations.evaluate import evaluate_model

    configuration = loaded(context).configuration
    events = read_events(files, configuration.profiles) if files else sample()
    folder = version_folder(models or model_repository(), configuration.triton.model)
    moments = [to_epoch_ms(day.replace(tzinfo=UTC)) for day in cutoff or ()]
    with progress_bar("evaluating", "cut-offs") as update:
        found = evaluate_model(events, folder, moments, configuration.profiles, update)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    from rich.table import Table

    console = output()
    console.print(f"model {found.card.name} {found.card.version}, trained on cut-offs until {found.card.training.last}")
    for each in found.cutoffs:
        table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
        table.title = f"\n{each.customers:,} customers at {each.cutoff}"
        table.add_column("", no_wrap=True)
        table.add_column("model", justify="right")
        table.add_column("baselines")
        for metric, figure in sorted(each.metrics["model"].items()):
            others = (
                f"{figures[metric]:,.3f} {sayer.replace('_', ' ')}"
                for sayer, figures in each.metrics.items()
                if sayer != "model" and metric in figures
            )
            table.add_row(metric.replace("_", " "), f"{figure:,.3f}", ", ".join(others))
        console.print(table)
    if not files:
        notes().print("[dim]on the demo's sample: real orders of customers that the model was not trained on[/dim]")

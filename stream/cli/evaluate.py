"""`tidemark evaluate`: the model beside the baselines, at moments of a recorded history."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.context import loaded, notes, output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.configuration.settings import Configuration
    from stream.operations.evaluate import ModelEvaluation


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
    from stream.contracts.times import to_epoch_ms
    from stream.operations.catalogue_items import read_items
    from stream.operations.demo_events import sample
    from stream.operations.evaluate import Asked, evaluate_model

    if (predictions is not None or against) and len(cutoff or ()) != 1:
        raise typer.BadParameter("predictions are of one moment: give --cutoff once", param_hint="--cutoff")
    configuration = loaded(context).configuration
    given = [*(files or ()), *(events or ())]
    asked = Asked(
        cutoffs=[to_epoch_ms(day.replace(tzinfo=UTC)) for day in cutoff or ()],
        items=read_items(items) if items is not None else [],
        predictions=predictions,
        against=against or [],
    )
    folder = version_folder(models or model_repository(), configuration.triton.model)
    if alerts:
        _alerts(configuration, given, folder, asked.cutoffs, as_json)
        return
    with notes().status("evaluating") as shown:
        found = evaluate_model(
            read_events(given, configuration.profiles) if given else sample(),
            folder,
            asked,
            configuration.profiles,
            lambda what: shown.update(what),
        )
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    _print(found)
    if not given:
        notes().print("[dim]on the demo's sample: real orders of customers that the model was not trained on[/dim]")
    if predictions is not None:
        notes().print(f"{found.cutoffs[0].customers:,} customers in {predictions}")


def _alerts(
    configuration: Configuration, given: list[Path], folder: Path, cutoffs: Sequence[int], as_json: bool
) -> None:
    import msgspec
    from rich.table import Table

    from serving.history import read_events
    from stream.operations.demo_events import sample
    from stream.operations.evaluate_alerts import evaluate_alerts

    with notes().status("evaluating") as shown:
        found = evaluate_alerts(
            read_events(given, configuration.profiles) if given else sample(),
            folder,
            min(cutoffs, default=None),
            configuration.profiles,
            configuration.policies,
            shown.update,
        )
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("", no_wrap=True)
    for name in ("alerts", "right", "base rate", "lift", "recall", "per 1,000 and week", "rule", "difference 95 %"):
        table.add_column(name, justify="right")
    for kind, worth in found.items():
        table.add_row(
            kind.replace("_", " "),
            f"{worth.counted:,}",
            f"{worth.precision:.3f}",
            f"{worth.base_rate:.3f}",
            f"{worth.lift:.2f}",
            f"{worth.recall:.3f}",
            f"{worth.per_1000_a_week:.1f}",
            f"{worth.rule_precision:.3f}",
            f"{worth.difference.low:+.3f} … {worth.difference.high:+.3f}",
        )
    output().print(table)
    horizon = found["all"].horizon_days
    notes().print(
        f"[dim]active customers, one row an episode; right: no order within {horizon} days; rule: silent for "
        f"{found['all'].rule_factor:.2f} own mean gaps, as often[/dim]"
    )


def _print(found: ModelEvaluation) -> None:
    from rich.table import Table

    console = output()
    console.print(f"model {found.card.name} {found.card.version}, trained on cut-offs until {found.card.training.last}")
    for each in found.cutoffs:
        table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
        rates = ", ".join(f"{horizon} {rate:.3f}" for horizon, rate in each.base_rates.items())
        table.title = f"\n{each.customers:,} customers at {each.cutoff}" + (f"; churn {rates}" if rates else "")
        for name in ("", "model", "difference", "95 %"):
            table.add_column(name, justify="right" if name else "left", no_wrap=True)
        table.add_column("baselines, best first")
        for figure in each.figures:
            ranked = sorted(
                ((value, name) for name, value in figure.values.items() if name != "model"),
                key=lambda pair: (pair[1] != figure.best_baseline, -pair[0] if figure.higher_is_better else pair[0]),
            )
            table.add_row(
                figure.metric.replace("_", " "),
                _figure(figure.values.get("model", float("nan"))),
                f"{figure.difference:+.3f}" if figure.best_baseline else "",
                f"{figure.interval.low:+.3f} … {figure.interval.high:+.3f}" if figure.best_baseline else "",
                ", ".join(f"{_figure(value)} {name.replace('_', ' ')}" for value, name in ranked),
            )
        console.print(table)
        for segment in each.segments:
            if segment.auc:
                aucs = ", ".join(f"{horizon} {_figure(value)}" for horizon, value in segment.auc.items())
                console.print(f"{segment.customers:,} customers with {segment.baskets} baskets: churn auc {aucs}")


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"

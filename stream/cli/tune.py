"""`tidemark tune`: better settings of training, by trying them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.context import loaded, notes, output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from serving.training.search import Trial


class Part(StrEnum):
    """What settings are of."""

    hazards = "hazards"
    query = "query"


def tune(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="Canonical events: .jsonl, .jsonl.gz, .parquet.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Settings to write, for `tidemark train --settings`.")],
    part: Annotated[Part, typer.Option(help="Settings of the churn hazards, or of the query for items.")] = (
        Part.hazards
    ),
    trials: Annotated[int, typer.Option(min=1, help="Settings to try, with those of a run before.")] = 20,
    settings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings to begin with. Default: the shipped model's.", show_default=False),
    ] = None,
    work: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the study is kept, to go on with.")] = Path(
        ".tidemark/tune"
    ),
    seed: Annotated[
        int | None, typer.Option(help="Another is another draw of trials. Default: 1.", show_default=False)
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Cores to use. Default: 2.", show_default=False)] = None,
) -> None:
    """Try settings of training at cut-offs before those that figures are of, and write the best ones to a file.

    The first trial has the settings to begin with. Trials that are worse than the median are ended early. A search that
    was killed goes on. Needs the extra `train`.
    """
    from stream.embedded.cache import InstallError

    try:
        from serving.training.search import best_of
        from serving.training.search import tune as search
    except ModuleNotFoundError as error:
        raise InstallError(f"tuning needs {error.name}: install it with `pip install 'tidemark[train]'`") from error
    from serving.training.settings import TrainingSettings, changed, read_settings, write_settings
    from stream.cli.progress import progress_steps

    given = {"seed": seed, "threads": threads}
    first = TrainingSettings() if settings is None else read_settings(settings)
    base = changed(first, {name: value for name, value in given.items() if value is not None})
    profiles = loaded(context).configuration.profiles
    with progress_steps() as step:
        tried = search(files, part.value, base, profiles, trials, work, step)
    best = best_of(tried)
    write_settings(out, changed(first, best.settings))
    output().print(_table(tried, best))
    gain = tried[0].loss - best.loss
    said = "no better than those it began with" if best is tried[0] else f"{gain:.4f} better than those it began with"
    notes().print(f"the best settings, {said}, are in {out}; `tidemark train --settings` takes it")


def _table(tried: Sequence[Trial], best: Trial) -> Table:
    """A row for each trial; of one that was ended early the loss is that of the networks until then."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("trial", *(_NAMES[name] for name in tried[0].settings), "loss"):
        table.add_column(name, justify="right")
    table.add_column("")
    for number, trial in enumerate(tried):
        note = "the best" if trial is best else "ended early" if trial.pruned else ""
        table.add_row(str(number), *_cells(trial.settings), f"{trial.loss:.4f}", note)
    return table


_NAMES = {
    "network.hazard_width": "width",
    "network.width": "width",
    "learning_rate": "rate",
    "query_learning_rate": "rate",
    "recency_half_life_days": "half-life, days",
    "epochs": "epochs",
    "query_epochs": "epochs",
}


def _cells(settings: Mapping[str, float | int]) -> list[str]:
    return [f"{value:.3g}" if isinstance(value, float) else str(value) for value in settings.values()]

"""`tidemark train`: a model from recorded events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli.context import loaded, notes


def train(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="Canonical events: .jsonl, .jsonl.gz, .parquet.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Model repository to write to.")] = Path("triton_models"),
    settings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings as `tidemark tune` writes them.", show_default=False),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over the examples at most. Default: the settings', 2.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Another is another draw of everything random. Default: 1.", show_default=False),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Cores to use. Default: 2.", show_default=False)] = None,
    logs: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Curves of the training, for TensorBoard.", show_default=False),
    ] = None,
    licence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="'TITLE; AUTHORS; SOURCE; LICENCE' of the data, for the card.", show_default=False
        ),
    ] = None,
) -> None:
    """Train the customer model: fold the events, learn, measure on later periods, export to ONNX with its card.

    Customers of the demo are left out. Needs the extra `train`. Several processes or machines train the query together
    with `torchrun --nproc-per-node N -m stream.cli train FILE`.
    """
    from stream.embedded.cache import InstallError

    try:
        from serving.training.train import train as train_model
    except ModuleNotFoundError as error:
        raise InstallError(f"training needs {error.name}: install it with `pip install 'tidemark[train]'`") from error
    from serving.model_card import DataLicence
    from serving.training.logs import tensorboard
    from serving.training.parallel import launched
    from serving.training.settings import TrainingSettings, changed, read_settings
    from stream.cli.progress import progress_steps

    profiles = loaded(context).configuration.profiles
    licences = [DataLicence(*_four(text)) for text in licence or ()]
    given = {"epochs": epochs, "seed": seed, "threads": threads}
    chosen = changed(
        TrainingSettings() if settings is None else read_settings(settings),
        {name: value for name, value in given.items() if value is not None},
    )
    with (
        launched() as world,
        progress_steps(shown=world.first) as step,
        tensorboard(logs if world.first else None) as log,
    ):
        card = train_model(files, out, chosen, profiles, licences, step, log=log, world=world)
    if not world.first:
        return
    console = notes()
    console.print(f"model {card.name} {card.version} in {out}, from {card.examples:,} examples")
    for threshold in card.thresholds:
        console.print(
            f"{threshold.horizon}: {threshold.precision:.0%} of those above {threshold.raise_at:.2f} do not order "
            f"(all active customers: {threshold.base_rate:.0%})"
        )


def _four(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(";")]
    if len(parts) != 4:
        raise typer.BadParameter(f"{text!r} is not 'TITLE; AUTHORS; SOURCE; LICENCE'", param_hint="--licence")
    return parts

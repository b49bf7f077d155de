"""`tidemark sentiment`: what reviews say of their writers' mood."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.context import notes


def sentiment(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A table: .parquet, .csv, .tsv or .jsonl.", show_default=False)
    ],
    text_column: Annotated[str, typer.Option(metavar="C", help="Column with the texts.", show_default=False)],
    predictions: Annotated[
        Path,
        typer.Option(metavar="OUT", help="Parquet to write: the table with four more columns.", show_default=False),
    ],
    title_column: Annotated[
        str | None,
        typer.Option(metavar="C", help="Column with titles, read before the text. Default: title, if there is one."),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Model repository. Default: the one installed.", show_default=False),
    ] = None,
) -> None:
    """Add `label` (negative, neutral, positive), `p_negative`, `p_neutral` and `p_positive` to a table of texts.

    The probabilities are calibrated on clothing reviews in English. The label weighs accuracy and a fair hearing for
    the rarer sentiments alike, so it is not always the most probable one.
    """
    from serving.text.encoder import shipped_encoder
    from stream.cli.progress import progress_bar
    from stream.operations.sentiment import say_sentiment

    encoder = shipped_encoder(models, threads=os.cpu_count() or 1)
    with progress_bar("reading", "texts") as update:
        said = say_sentiment(file, predictions, encoder, text_column, title_column, update)
    console = notes()
    counts = ", ".join(f"{count:,} {name}" for name, count in said.labels.items())
    console.print(f"{said.rows:,} texts in {predictions}: {counts}")
    if said.title_column and title_column is None:
        console.print(f"column {said.title_column} was read as the titles")
    if said.without_text:
        console.print(f"{said.without_text:,} rows have no text: they got the shares of the training reviews")

"""What of the encoder should learn, and does domain adaptation help: the same reviews, several seeds, one table.

``python -m serving.text.ablation --reviews FILE --products FILE`` prints a line for each variant. Calibration and label
offsets are chosen on validation reviews, figures are of test reviews. A run that was killed goes on from the work
folder. Needs the ``train`` extra.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Final, NamedTuple, get_args

import msgspec
import numpy as np
import torch
import typer

from serving.text.base import base_folder
from serving.text.fit import best_device
from serving.text.measure import figures
from serving.text.products import read_products
from serving.text.reviews import Reviews, read_reviews, split
from serving.text.settings import Method, TextSettings
from serving.text.ship import speak
from serving.text.teacher import fit_teacher, opinions, sentiment_probabilities
from serving.text.tokens import TextTokens
from serving.text.train import Parts, adapted


class Variant(msgspec.Struct, frozen=True):
    """One fit of one variant, with its figures on the test reviews."""

    method: Method
    adapted: bool
    seed: int
    learned: int
    epoch: int
    figures: dict[str, float]


class VariantJob(NamedTuple):
    """What a process of its own needs."""

    base: Path
    training: Reviews
    validation: Reviews
    test: Reviews
    settings: TextSettings
    method: Method
    adapted: bool
    seed: int
    out: Path
    """Figures of the finished variant; beside it, until then, its checkpoint."""


class Reduced(NamedTuple):
    """How many reviews of each part are taken, at most: an hour of a GPU is days of two cores. None takes all."""

    training: int | None = None
    validation: int | None = None
    test: int | None = None


EVERYTHING: Final = Reduced()


def ablate(
    reviews_path: Path,
    products_path: Path,
    work: Path,
    settings: TextSettings,
    seeds: int,
    workers: int,
    methods: Sequence[Method] = get_args(Method),
    reduced: Reduced = EVERYTHING,
) -> Iterator[Variant]:
    """Every method, from the base encoder and from the adapted one."""
    base, reviews = base_folder(settings.base), read_reviews(reviews_path)
    parts_of = split(reviews, settings.test_share, settings.validation_share)
    # Where a review stands in the file says nothing of it, so the first ones are a sample.
    training, validation, test = (reviews.take(rows[:most]) for rows, most in zip(parts_of, reduced, strict=True))
    parts = Parts(training, validation, [], read_products(products_path))
    here = adapted(base, work, parts, settings, best_device(), lambda what, done, of: None)
    jobs = [
        VariantJob(folder, training, validation, test, settings, method, folder != base, seed, out)
        for seed in range(settings.seed, settings.seed + seeds)
        for folder in dict.fromkeys((base, here))
        for method in methods
        for out in [work / "ablation" / f"{_digest(settings, reduced, method, folder != base, seed)}.json"]
    ]
    if workers == 1:
        yield from map(_fit, jobs)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as processes:
        yield from processes.map(_fit, jobs)


def _digest(*described: object) -> str:
    return hashlib.sha256(repr(described).encode()).hexdigest()[:16]


def _fit(job: VariantJob) -> Variant:
    if job.out.is_file():
        return msgspec.json.decode(job.out.read_bytes(), type=Variant)
    device = best_device()
    if device.type == "cuda":
        torch.set_num_threads(1)
    settings = msgspec.structs.replace(job.settings.teacher, method=job.method)
    checkpoint = job.out.with_suffix(".checkpoint")
    trained = fit_teacher(
        job.base, job.training, job.validation, settings, job.settings.longest, job.seed, device, checkpoint
    )
    texts = job.validation.whole + job.test.whole
    raw = sentiment_probabilities(opinions(trained.network, TextTokens(job.base, job.settings.longest), texts, device))
    count = len(job.validation.texts)
    said = speak(job.validation.sentiments, raw[:count], raw[count:])
    found = figures(job.test.sentiments, said.probabilities, said.labels)
    variant = Variant(job.method, job.adapted, job.seed, trained.learned, trained.fitted.epoch, found)
    job.out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = job.out.with_suffix(".unfinished")
    unfinished.write_bytes(msgspec.json.encode(variant))
    unfinished.replace(job.out)
    checkpoint.unlink(missing_ok=True)
    return variant


def command(
    reviews: Annotated[Path, typer.Option(help="Parquet: title, review_text, rating, recommended.")],
    products: Annotated[Path, typer.Option(help="Parquet with the column description.")],
    work: Annotated[Path, typer.Option(help="Folder for what is finished.")] = Path(".tidemark/text"),
    settings: Annotated[str, typer.Option(help="TextSettings as JSON; what is left out keeps its default.")] = "{}",
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    workers: Annotated[int, typer.Option(min=1, help="Networks trained at once.")] = 1,
    only: Annotated[list[str] | None, typer.Option(metavar="METHOD", help="Default: every one.")] = None,
    training: Annotated[int | None, typer.Option(help="Reviews that are learned from, at most.")] = None,
    validation: Annotated[int | None, typer.Option(help="Validation reviews, at most.")] = None,
    test: Annotated[int | None, typer.Option(help="Test reviews, at most.")] = None,
) -> None:
    """Compare what is trained, and from where."""
    chosen = msgspec.json.decode(settings, type=TextSettings)
    methods = msgspec.convert(only or list(get_args(Method)), list[Method])
    reduced = Reduced(training, validation, test)
    rows: dict[tuple[bool, str], list[Variant]] = {}
    for variant in ablate(reviews, products, work, chosen, seeds, workers, methods, reduced):
        rows.setdefault((variant.adapted, variant.method), []).append(variant)
        typer.echo(msgspec.json.encode(variant).decode())
    for (on_adapted, method), found in rows.items():
        cells = " | ".join(
            f"{np.mean(values):.4f} ± {np.std(values):.4f}"
            for name in ("accuracy", "macro_f1", "auc_negative", "ece_negative")
            for values in [[each.figures[name] for each in found]]
        )
        typer.echo(f"| {method} | {'adapted' if on_adapted else 'base'} | {found[0].learned:,} | {cells} |")


if __name__ == "__main__":
    typer.run(command)

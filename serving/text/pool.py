"""What the student learns from: many cuts and mixtures of the reviews, labelled by teachers that have not seen them.

A teacher's opinion of a review that it was trained on is as certain as its rating; of one that it has not seen it says
how sure one can be. So teachers are trained by fold, each labels its own, and all of them are one ensemble for reviews
outside. Called by ``serving.text.train``; folds can be trained side by side.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from serving.text.fit import Report, best_device
from serving.text.reviews import Reviews, folds, shown, variants
from serving.text.settings import StudentSettings, TeacherSettings
from serving.text.teacher import OPINIONS, fit_teacher, opinions
from serving.text.tokens import TextTokens
from serving.training.parallel import ALONE, World


class Pool(NamedTuple):
    """R rounds of as many texts as there are training reviews, one after the other."""

    texts: list[str]
    fold_of: npt.NDArray[np.int64]
    ratings: npt.NDArray[np.int64]
    """The true rating of a text that is as it was written, else -1."""

    def take(self, rows: npt.NDArray[np.intp]) -> list[str]:
        """The texts of ``rows``."""
        return [self.texts[row] for row in rows]


class FoldJob(NamedTuple):
    """One teacher: everything a process of its own needs."""

    base: Path
    training: Reviews
    held_out: Reviews
    texts: list[str]
    """What it labels: its fold's part of the pool, then the reviews outside."""
    settings: TeacherSettings
    longest: int
    seed: int
    out: Path
    threads: int


def make_pool(training: Reviews, settings: StudentSettings, count: int, seed: int) -> Pool:
    """A third of the rounds shows reviews as they are, two thirds cut and mix them."""
    random = np.random.default_rng([seed, 77])
    fold_of = folds(training, count)
    texts: list[str] = []
    origins: list[npt.NDArray[np.int64]] = []
    ratings: list[npt.NDArray[np.int64]] = []
    for number in range(settings.variants):
        if number % 3 == 0:
            texts += shown(training, random)
            origins.append(fold_of)
            ratings.append(training.ratings)
        else:
            made, origin = variants(training, fold_of, settings.class_balance, random)
            texts += made
            origins.append(origin)
            ratings.append(np.full(len(made), -1))
    return Pool(texts, np.concatenate(origins), np.concatenate(ratings))


def label_pool(
    base: Path,
    training: Reviews,
    pool: Pool,
    outside: Sequence[str],
    settings: TeacherSettings,
    longest: int,
    seed: int,
    work: Path,
    workers: int,
    report: Report,
    world: World = ALONE,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Opinions of the pool [texts, 6], by teachers of other folds, and of ``outside`` [seeds * folds, texts, 6].

    A teacher whose labels lie in ``work`` is not trained again. Of several processes each trains teachers of its own;
    they share ``work``.
    """
    fold_of = folds(training, settings.folds)
    jobs = []
    for number in range(settings.folds * settings.seeds):
        fold = number % settings.folds
        own = pool.take(np.flatnonzero(pool.fold_of == fold))
        jobs.append(
            FoldJob(
                base,
                training.take(np.flatnonzero(fold_of != fold)),
                training.take(np.flatnonzero(fold_of == fold)),
                own + list(outside),
                settings,
                longest,
                seed * 1_000 + number,
                work / f"teacher-{number}.npy",
                max(1, torch.get_num_threads() // workers),
            )
        )
    missing = world.from_first(lambda: [not job.out.is_file() for job in jobs])
    wanted = [job for job, wants in zip(jobs, missing, strict=True) if wants][world.rank :: world.size]
    report("teachers", len(jobs) - sum(missing), len(jobs))
    if workers > 1 and world.size == 1:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as processes:
            for done, future in enumerate(as_completed([processes.submit(_label, job) for job in wanted]), start=1):
                future.result()
                report("teachers", len(jobs) - len(wanted) + done, len(jobs))
    else:
        for done, job in enumerate(wanted, start=1):
            _label(job)
            report("teachers", len(jobs) - len(wanted) + done, len(jobs))
    world.wait()
    inside = np.zeros((len(pool.texts), OPINIONS), np.float32)
    beyond = np.empty((len(jobs), len(outside), OPINIONS), np.float32)
    for number, job in enumerate(jobs):
        said = np.load(job.out)
        rows = np.flatnonzero(pool.fold_of == number % settings.folds)
        inside[rows] += said[: len(rows)] / settings.seeds
        beyond[number] = said[len(rows) :]
    return inside, beyond


def _label(job: FoldJob) -> None:
    torch.set_num_threads(job.threads)
    device = best_device()
    trained = fit_teacher(
        job.base,
        job.training,
        job.held_out,
        job.settings,
        job.longest,
        job.seed,
        device,
        job.out.with_suffix(".checkpoint"),
    )
    said = opinions(trained.network, TextTokens(job.base, job.longest), job.texts, device)
    unfinished = job.out.with_suffix(".unfinished.npy")
    np.save(unfinished, said)
    unfinished.replace(job.out)
    job.out.with_suffix(".checkpoint").unlink(missing_ok=True)

"""Searches for better settings of training: trials of optuna, by the loss at cut-offs before every figure.

The study lies in a file, so that a search that was killed goes on, and ends as one that was not. What a trial is judged
by is ``serving.training.judged``'s. Called by ``tidemark tune``; needs the extra ``train``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import optuna
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from serving.training.arrays import Report
from serving.training.judged import Judge, Part, judges, loss_of
from serving.training.settings import TrainingSettings, changed, flat
from serving.training.train import read_source, run_of
from stream.profiles.settings import ProfileSettings

STUDY_FILE: Final = "study.sqlite"

SEEDS: Final = 2
"""Networks of each cut-off: settings that are good with one seed alone are luck."""

FIRST_JUDGED: Final = 4
"""Trials that run to their end, drawn at random, before others are held against their median."""

_WIDTHS: Final = CategoricalDistribution((32, 64, 128))

SPACE: Final[dict[Part, dict[str, BaseDistribution]]] = {
    "hazards": {
        "network.hazard_width": _WIDTHS,
        "learning_rate": FloatDistribution(2e-4, 3e-3, log=True),
        "recency_half_life_days": FloatDistribution(15.0, 90.0, log=True),
        "epochs": IntDistribution(1, 4),
    },
    "query": {
        "network.width": _WIDTHS,
        "query_learning_rate": FloatDistribution(5e-4, 8e-3, log=True),
        "query_epochs": IntDistribution(1, 6),
    },
}
"""What is searched over, by the names of ``settings.flat``."""

_ENDED: Final = (TrialState.COMPLETE, TrialState.PRUNED)


class Trial(NamedTuple):
    """Settings that were tried."""

    settings: Mapping[str, float | int]
    """Those of ``SPACE``."""
    loss: float
    """Mean over cut-offs and seeds; of a trial that was pruned, over those until then."""
    pruned: bool


def tune(
    paths: Sequence[Path],
    part: Part,
    base: TrainingSettings,
    profile_settings: ProfileSettings,
    trials: int,
    work: Path,
    report: Report = lambda what, done, of: None,
) -> list[Trial]:
    """``search`` on files of canonical events; the study lies in ``work``.

    Raises:
        UnreadableEvents: a file holds something else.
        TooLittleHistory: the events span too little time to choose before the cut-offs that figures are of.
    """
    called = ", ".join(map(str, paths))
    torch.set_num_threads(base.threads)
    found = judges(read_source(paths, profile_settings, called), base, profile_settings, called, report)
    # Other cores may go on with it.
    run = run_of(paths, msgspec.structs.replace(base, threads=0), profile_settings)
    return search(part, found, base, trials, work / STUDY_FILE, run, report)


def search(
    part: Part,
    found: Sequence[Judge],
    base: TrainingSettings,
    trials: int,
    storage: Path,
    run: str,
    report: Report = lambda what, done, of: None,
) -> list[Trial]:
    """Try settings until ``trials`` of them have ended; all that have, in the order in which they were tried.

    Args:
        found: cut-offs to judge at.
        base: the settings of the first trial, and of what is not searched over.
        storage: SQLite file of the study; made where there is none.
        run: what the trials depend on beside the part: another run is another study.
        report: told of progress.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=f"{part} {run}",
        storage=f"sqlite:///{storage}",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST_JUDGED),
    )
    for killed in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(killed.number, state=TrialState.FAIL)
    while (done := len(_ended(study))) < trials:
        report("trials", done, trials)
        # The draw depends on the trials that have ended alone, so one that was killed is tried again as it was.
        study.sampler = optuna.samplers.TPESampler(seed=base.seed * 10_007 + done, n_startup_trials=FIRST_JUDGED)
        if not done and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.enqueue_trial({name: flat(base)[name] for name in SPACE[part]})
        _try(study, study.ask(SPACE[part]), part, found, base)
    report("trials", trials, trials)
    return _ended(study)


def best_of(tried: Sequence[Trial]) -> Trial:
    """The least loss among trials that ran to their end."""
    return min((trial for trial in tried if not trial.pruned), key=lambda trial: trial.loss)


def _try(study: optuna.Study, trial: optuna.Trial, part: Part, found: Sequence[Judge], base: TrainingSettings) -> None:
    settings = changed(base, trial.params)
    total, steps = 0.0, [(base.seed + number, judge) for number in range(SEEDS) for judge in found]
    for step, (seed, judge) in enumerate(steps, start=1):
        total += loss_of(part, judge, msgspec.structs.replace(settings, seed=seed))
        trial.report(total / step, step)
        if step < len(steps) and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return
    study.tell(trial, total / len(steps))


def _ended(study: optuna.Study) -> list[Trial]:
    return [
        Trial(trial.params, float(trial.value), trial.state is TrialState.PRUNED)
        for trial in study.get_trials(deepcopy=False, states=_ENDED)
        if trial.value is not None
    ]

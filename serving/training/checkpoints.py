"""Finished steps of a training run, kept so that a run that was interrupted goes on after the last of them.

A step is named by everything that it depends on: another seed, setting or file of events is another step. Called by
``serving.training.train``.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

Step = TypeVar("Step")


class Checkpoints:
    """Steps of one run.

    Parameters
    ----------
    folder
        Where they lie; made when the first is kept.
    run
        What all steps depend on: settings, and digests of the files.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self._folder = folder
        self._run = run

    def step(self, name: str, make: Callable[[], Step]) -> Step:
        """What ``make`` gave the last time that this step was finished, else what it gives now."""
        path = self._folder / f"{hashlib.sha256(f'{self._run} {name}'.encode()).hexdigest()[:16]}.pt"
        if path.exists():
            # Written below by this very program, never by anyone else.
            kept: Step = torch.load(path, weights_only=False)
            return kept
        made = make()
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        torch.save(made, unfinished)
        unfinished.replace(path)
        return made

    def forget(self) -> None:
        """The run has ended: its steps are not needed any more."""
        shutil.rmtree(self._folder, ignore_errors=True)

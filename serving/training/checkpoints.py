"""What a training run has done so far, kept so that a run that was killed goes on: finished steps, and fits under way.

A step is named by everything that it depends on: another seed, setting or file of events is another step. It knows
nothing of networks. Called by ``serving.training.train`` for steps, by ``serving.training.learn`` within a fit.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import torch

from serving.training.parallel import ALONE, World

Step = TypeVar("Step")

SECONDS_BETWEEN: Final = 20.0
"""Between two states of a fit under way: what a kill costs at most, beside folding the events again."""


class Checkpoint:
    """The state of one fit under way, in one file.

    Parameters
    ----------
    path
        Of the file. None keeps nothing.
    seconds
        Between two states, at least.
    """

    def __init__(self, path: Path | None, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._written = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """The last state that was written whole; None where there is none."""
        if self._path is None or not self._path.exists():
            return None
        # Written below by this very program, never by anyone else.
        state: dict[str, Any] = torch.load(self._path, weights_only=False)
        return state

    def due(self) -> bool:
        """True when the last state is old enough for a new one."""
        return self._path is not None and time.monotonic() - self._written >= self._seconds

    def write(self, state: dict[str, Any]) -> None:
        """Put ``state`` in the place of the last one."""
        if self._path is not None:
            write_whole(self._path, state)
            self._written = time.monotonic()


class Checkpoints:
    """Steps and fits of one run.

    Parameters
    ----------
    folder
        Where they lie; made when the first is kept. None keeps nothing.
    run
        What all of them depend on: settings, and digests of the files.
    seconds
        Between two states of a fit.
    world
        The processes of the run. The first one has the folder.
    """

    def __init__(self, folder: Path | None, run: str, seconds: float = SECONDS_BETWEEN, world: World = ALONE) -> None:
        self._folder = folder
        self._run = run
        self._seconds = seconds
        self._world = world

    def step(self, name: str, make: Callable[[], Step]) -> Step:
        """What ``make`` gave the last time that this step was finished, else what it gives now."""
        path = self._path(name)
        done: list[Step] = self._world.from_first(lambda: _finished(path))
        if done:
            return done[0]
        made = make()
        if path is not None and self._world.first:
            write_whole(path, made)
        return made

    def within(self, step: str) -> Checkpoints:
        """The same for what happens inside of a step."""
        return Checkpoints(self._folder, f"{self._run} {step}", self._seconds, self._world)

    def fit(self, name: str) -> Checkpoint:
        """Where a fit keeps its state."""
        return Checkpoint(self._path(name), self._seconds)

    def forget(self) -> None:
        """The run has ended: nothing of it is needed any more."""
        if self._folder is not None and self._world.first:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str) -> Path | None:
        digest = hashlib.sha256(f"{self._run} {name}".encode()).hexdigest()[:16]
        return None if self._folder is None else self._folder / f"{digest}.pt"


NOTHING_KEPT: Final = Checkpoints(None, "")


def _finished(path: Path | None) -> list[Any]:
    """What a step gave, if it was finished."""
    # As in ``Checkpoint.read``.
    return [] if path is None or not path.exists() else [torch.load(path, weights_only=False)]


def write_whole(path: Path, state: object) -> None:
    """``torch.save`` so that the file holds the old or the new, whenever the process or the machine stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)

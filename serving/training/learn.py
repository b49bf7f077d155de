"""The training loop of the customer network: AdamW, one cycle of the learning rate, clipped gradients, resumption.

What is learned (network, loss, rows) comes from ``serving.training.fit``. A fit that was killed goes on from its
last state as if nothing had happened, bit for bit on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from serving.training.arrays import Report
from serving.training.checkpoints import Checkpoint
from serving.training.logs import Log, unheard
from serving.training.parallel import ALONE, World
from serving.training.settings import TrainingSettings

Rows = npt.NDArray[np.intp]

_BUCKETED: Final = 20
"""Batches that are sorted by length together: most histories are short, and padding costs as much as history."""

_GRADIENT_NORM: Final = 1.0
_STEPS_BETWEEN_POINTS: Final = 10
"""Of the curves: reading a loss makes the device wait."""


class Pool(NamedTuple):
    """The N examples that batches are drawn from."""

    rows: Rows
    """intp[N]: of the arrays."""
    drawn_by: npt.NDArray[np.float64]
    """float64[N]: how likely each is drawn, adding up to 1."""
    lengths: npt.NDArray[np.intp]
    """Of the histories of all examples of the arrays."""


class Task(NamedTuple):
    """One fit."""

    name: str
    network: nn.Module
    weights: Iterable[nn.Parameter]
    """Those of the network that are learned."""
    loss: Callable[[Rows], Tensor]
    """Mean over examples."""
    pool: Pool
    epochs: int
    planned: int
    """The learning rate falls as if so many were run."""
    learning_rate: float
    held_out: Callable[[], float] | None = None
    """What early stopping looks at after each epoch: lower is better. None: all epochs are run."""


class Best(NamedTuple):
    """The epoch with the least held-out loss."""

    epoch: int = 0
    loss: float = math.inf


def learn(
    task: Task,
    settings: TrainingSettings,
    kept: Checkpoint,
    report: Report,
    log: Log = unheard,
    world: World = ALONE,
) -> Best:
    """Train ``task.network`` in place, from where ``kept`` says that it was left.

    Args:
        world: the processes that train it together, each called with the same arguments; the first one keeps states.
    """
    random, learned = np.random.default_rng(settings.seed), list(task.weights)
    per_epoch = min(settings.examples_per_epoch, len(task.pool.rows))
    steps = task.planned * math.ceil(per_epoch / settings.batch_size)
    optimiser = torch.optim.AdamW(learned, task.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        task.learning_rate,
        # Where the rise would be one step long, torch divides by zero.
        total_steps=max(steps, math.ceil(1.0 / settings.warm_up_share)) + 1,
        pct_start=settings.warm_up_share,
    )
    best, epoch, done = Best(), 1, 0
    if (state := world.from_first(kept.read)) is not None:
        task.network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        random.bit_generator.state = state["random"]
        torch.set_rng_state(state["torch"])
        best, epoch, done = Best(*state["best"]), state["epoch"], state["done"]

    def keep() -> None:
        if not world.first:
            return
        kept.write(
            {
                "network": task.network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
                "random": before,
                "torch": torch.get_rng_state(),
                "best": tuple(best),
                "epoch": epoch,
                "done": done,
            }
        )

    # An epoch's batches follow from the generator's state before it: that and a number tell which batch is next.
    before = random.bit_generator.state
    while epoch <= task.epochs:
        task.network.train()
        drawn = random.choice(task.pool.rows, per_epoch, p=task.pool.drawn_by)
        batches = _batches(drawn, task.pool.lengths, settings.batch_size, random)
        for batch in batches[done:]:
            optimiser.zero_grad()
            world.seed_step(settings.seed, epoch, done)
            mine = world.part(batch)
            # Of a last batch that is smaller than the world, somebody has nothing.
            loss = task.loss(mine) * (len(mine) / len(batch)) if len(mine) else torch.zeros((), requires_grad=True)
            loss.backward()
            world.add_gradients(learned)
            norm = nn.utils.clip_grad_norm_(learned, _GRADIENT_NORM)
            optimiser.step()
            schedule.step()
            done += 1
            step = (epoch - 1) * len(batches) + done
            report(task.name, step, steps)
            if step % _STEPS_BETWEEN_POINTS == 0:
                log(f"{task.name}/loss", float(loss.detach()), step)
                log(f"{task.name}/gradient norm", float(norm), step)
                log(f"{task.name}/learning rate", float(schedule.get_last_lr()[0]), step)
            if kept.due():
                keep()
        if task.held_out is not None:
            held_out = world.from_first(task.held_out)
            log(f"{task.name}/held-out loss", held_out, epoch * len(batches))
            if held_out < best.loss:
                best = Best(epoch, held_out)
            elif epoch - best.epoch >= settings.patience:
                epoch = task.epochs
        epoch, done, before = epoch + 1, 0, random.bit_generator.state
    keep()
    report(task.name, steps, steps)
    return best


def _batches(rows: Rows, lengths: npt.NDArray[np.intp], size: int, random: np.random.Generator) -> list[Rows]:
    batches: list[Rows] = []
    for start in range(0, len(rows), size * _BUCKETED):
        together = rows[start : start + size * _BUCKETED]
        together = together[np.argsort(lengths[together], kind="stable")]
        batches.extend(together[at : at + size] for at in range(0, len(together), size))
    return [batches[i] for i in random.permutation(len(batches))]

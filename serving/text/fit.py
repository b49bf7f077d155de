"""The training loop of the text networks: AdamW, warm-up, mixed precision on a GPU, early stopping, resumption.

``adapt``, ``teacher`` and ``student`` bring a network, its batches and its loss. An epoch's batches and dropout follow
from seed and epoch alone, and a checkpoint within an epoch holds the generators' states: on a CPU a run that was killed
goes on as if it had not been.
"""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from serving.text.settings import Precision, Schedule
from serving.training.parallel import ALONE, World

Batch = Mapping[str, Tensor]
Report = Callable[[str, int, int], None]
"""Told what is going on, how much is done, and of how much."""

SECONDS_BETWEEN_CHECKPOINTS = 20.0
"""At least: on two cores an epoch of a teacher takes half an hour, on a GPU less than writing its checkpoint."""

_GRADIENT_NORM: Final = 1.0


class Fitted(NamedTuple):
    """How a fit ended; the network holds the weights of its best epoch."""

    epoch: int
    held_out: float


class Task(NamedTuple):
    """What one fit learns."""

    name: str
    network: nn.Module
    loss: Callable[[Any, Batch, World], Tensor]
    """Called with the network, this process's part of a batch, and those that have the other parts: the losses of all
    of them add up to the mean loss of the batch."""
    batches: Callable[[int, World], Iterable[Batch]]
    """This process's parts of the batches of an epoch, counted from 1."""
    steps: int
    """Batches in an epoch."""
    held_out: Callable[[Any], float]
    """What early stopping looks at: lower is better."""


def fit(
    task: Task,
    schedule: Schedule,
    seed: int,
    device: torch.device,
    checkpoint: Path | None = None,
    report: Report = lambda what, done, of: None,
    world: World = ALONE,
) -> Fitted:
    """Train ``task.network`` in place; with ``checkpoint``, save now and then and go on from what is there.

    Args:
        world: the processes that train it together, each called with the same arguments; the first one saves.
    """
    network = task.network.to(device)
    if world.size > 1:
        network.load_state_dict(world.from_first(network.state_dict))
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    heads = [parameter for name, parameter in network.named_parameters() if name.startswith("heads.")]
    rest = [parameter for parameter in learned if all(parameter is not head for head in heads)]
    steps = max(1, schedule.epochs * task.steps)
    warm_up = max(1, round(steps * schedule.warm_up_share))
    optimiser = torch.optim.AdamW(
        [{"params": rest}, {"params": heads, "lr": schedule.learning_rate * schedule.head_factor}],
        schedule.learning_rate,
        weight_decay=schedule.weight_decay,
        fused=device.type == "cuda",
    )
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm_up, max(0.0, (steps - step) / max(1, steps - warm_up)))
    )
    best, score, best_epoch, epoch, done = copy.deepcopy(network.state_dict()), math.inf, 0, 1, 0
    generators: dict[str, Any] = {}
    scaler = torch.amp.GradScaler(device.type, enabled=_in_fp16(device, schedule.precision))
    if (kept := world.from_first(lambda: _kept(checkpoint))) is not None:
        network.load_state_dict(kept["network"])
        optimiser.load_state_dict(kept["optimiser"])
        rate.load_state_dict(kept["rate"])
        best, score, best_epoch, epoch = kept["best"], kept["score"], kept["best_epoch"], kept["epoch"]
        done, generators = kept["done"], kept["generators"]
        scaler.load_state_dict(kept["scaler"])
    saved = time.monotonic()

    def keep() -> None:
        nonlocal saved
        if world.first and checkpoint and time.monotonic() - saved >= SECONDS_BETWEEN_CHECKPOINTS:
            _save(
                checkpoint,
                network=network.state_dict(),
                optimiser=optimiser.state_dict(),
                rate=rate.state_dict(),
                generators=_generators(),
                scaler=scaler.state_dict(),
                best=best,
                score=score,
                best_epoch=best_epoch,
                epoch=epoch,
                done=done,
            )
            saved = time.monotonic()

    while epoch <= (schedule.stop_after or schedule.epochs):
        if epoch - 1 - best_epoch >= schedule.patience and best_epoch:
            break
        torch.manual_seed(seed * 10_007 + epoch)
        network.train()
        batches = iter(task.batches(epoch, world))
        if done:
            # What was drawn for the batches that are done is drawn again, then the generators stand where they stood.
            next(islice(batches, done - 1, None))
            _restore(generators)
        for batch in batches:
            optimiser.zero_grad(set_to_none=True)
            world.seed_step(seed, epoch, done)
            with half_precision(device, schedule.precision):
                loss = task.loss(network, {name: tensor.to(device) for name, tensor in batch.items()}, world)
            scaler.scale(loss).backward()
            # Added up while they are scaled: what overflowed in one process is seen in all.
            world.add_gradients(learned)
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(learned, _GRADIENT_NORM)
            scaler.step(optimiser)
            scaler.update()
            rate.step()
            done += 1
            report(task.name, (epoch - 1) * task.steps + done, steps)
            keep()
        network.eval()
        with torch.no_grad(), half_precision(device, schedule.precision):
            now = world.from_first(lambda: task.held_out(network))
        if now < score:
            best, score, best_epoch = copy.deepcopy(network.state_dict()), now, epoch
        epoch, done = epoch + 1, 0
        keep()
    report(task.name, steps, steps)
    network.load_state_dict(best)
    network.eval()
    return Fitted(best_epoch, score)


def half_precision(device: torch.device, precision: Precision = "bf16") -> contextlib.AbstractContextManager[object]:
    """Half as many bits where a GPU multiplies them faster. bfloat16 has the range of float32, so that no loss has to
    be scaled; float16 is for GPUs that lack it."""
    if device.type == "cuda" and precision != "fp32":
        return torch.autocast("cuda", torch.bfloat16 if precision == "bf16" else torch.float16)  # type: ignore[no-any-return]
    return contextlib.nullcontext()


def _in_fp16(device: torch.device, precision: Precision) -> bool:
    return device.type == "cuda" and precision == "fp16"


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _kept(checkpoint: Path | None) -> dict[str, Any] | None:
    if checkpoint is None or not checkpoint.is_file():
        return None
    # To the host: other processes have other devices, and what is loaded from it goes to where the weights are.
    state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return state


def _generators() -> dict[str, Any]:
    found: dict[str, Any] = {"cpu": torch.get_rng_state()}
    return found | ({"cuda": torch.cuda.get_rng_state_all()} if torch.cuda.is_available() else {})


def _restore(generators: dict[str, Any]) -> None:
    torch.set_rng_state(generators["cpu"])
    if "cuda" in generators and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(generators["cuda"])


def _save(path: Path, **state: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    torch.save(state, unfinished)
    unfinished.replace(path)

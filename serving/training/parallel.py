"""Several processes that train one network: each takes a part of every batch, and their gradients are added up.

``torchrun`` starts the processes, on one machine or on several; a program that it did not start is a world of one. What
a process computes is said by who calls: ``serving.training.learn`` and ``serving.text.fit``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed

Made = TypeVar("Made")
Part = TypeVar("Part", npt.NDArray[np.intp], Tensor)

_PATIENCE: Final = timedelta(hours=6)
"""While one process measures or labels, the others wait for it."""


class World(NamedTuple):
    """The processes that train together, and which of them this one is."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """True in the process that writes files and speaks to people."""
        return self.rank == 0

    def part(self, batch: Part) -> Part:
        """This process's part of an array or a tensor with a row for each example; all parts together are the batch."""
        return batch[self.rank :: self.size]

    def total(self, count: Tensor) -> Tensor:
        """The sum over all processes of what a loss is divided by; no gradient goes through it."""
        count = count.detach().clone()
        if self.size > 1:
            distributed.all_reduce(count)
        return count

    def add_gradients(self, weights: Iterable[torch.nn.Parameter]) -> None:
        """Give every process the sum of all gradients; one that has none counts as zero."""
        if self.size == 1:
            return
        learned = list(weights)
        for each in learned:
            if each.grad is None:
                each.grad = torch.zeros_like(each)
        # In one message: hundreds of small ones take longer than the batch.
        together = torch.cat([each.grad.flatten() for each in learned])
        distributed.all_reduce(together)
        start = 0
        for each in learned:
            each.grad.copy_(together[start : start + each.numel()].view_as(each))
            start += each.numel()

    def seed_step(self, seed: int, epoch: int, step: int) -> None:
        """What a process drops out follows from seed, epoch, step and rank: the state of one is enough to go on from.

        In a world of one nothing is done, and the generator runs through the epoch.
        """
        if self.size > 1:
            drawn = np.random.SeedSequence([seed, epoch, step, self.rank]).generate_state(1)
            torch.manual_seed(int(drawn[0]))

    def wait(self) -> None:
        """Until all processes have come so far."""
        if self.size > 1:
            distributed.barrier()

    def from_first(self, make: Callable[[], Made]) -> Made:
        """What ``make`` gives in the first process, in all of them. The others wait and do not call it."""
        if self.size == 1:
            return make()
        given: list[Any] = [make() if self.first else None]
        distributed.broadcast_object_list(given)
        made: Made = given[0]
        return made


ALONE: Final = World()


@contextmanager
def launched() -> Iterator[World]:
    """The processes that ``torchrun`` has started, for as long as the block runs; ``ALONE`` without it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    # Files and decisions go by gloo, on any machine; tensors of a GPU by nccl.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield World(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()

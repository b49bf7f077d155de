"""Curves of a training for TensorBoard: losses, learning rates, gradient norms.

They change nothing of what is learned. Called by ``serving.training.learn`` for every step, and by the command line,
which says where they go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Log = Callable[[str, float, int], None]
"""Told a curve's name, its value, and the step."""


def unheard(name: str, value: float, step: int) -> None:
    """Keeps nothing."""


def named(log: Log, run: str) -> Log:
    """The curves of one of several networks."""
    return lambda name, value, step: log(f"{run}/{name}", value, step)


@contextmanager
def tensorboard(folder: Path | None) -> Iterator[Log]:
    """Curves into ``folder``, for as long as the block runs; None keeps nothing."""
    if folder is None:
        yield unheard
        return
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))
    try:
        yield writer.add_scalar
    finally:
        writer.close()

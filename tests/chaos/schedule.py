"""Which fault comes when: drawn from the seed, every kind once before any comes again.

What a seed decides is the order, the victims and the moments within a fault; the threads of the operating system
decide the rest. Called by ``run.py``.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from tests.chaos.kinds import brokers, groups, log, model, network, stores, workers
from tests.chaos.kinds.fault import Fault, Scene

EVERY: Final[tuple[Fault, ...]] = (
    *workers.KINDS,
    *stores.KINDS,
    *brokers.KINDS,
    *network.KINDS,
    *model.KINDS,
    *log.KINDS,
    *groups.KINDS,
)

_SLOW: Final = (workers.Away, workers.Zombie, workers.ZombieInCommit, workers.OutOfMemory, workers.FullDisk)
"""They wait for a session or a disk to be over."""


def endless(scene: Scene, seed: int) -> Iterator[Fault]:
    """Every kind that the scene has room for, in an order drawn anew each time round."""
    draw = Random(f"schedule:{seed}")
    possible = [fault for fault in EVERY if fault.possible(scene)]
    while True:
        yield from draw.sample(possible, len(possible))


def short(scene: Scene, seed: int, most: int) -> Sequence[Fault]:
    """A mix for a run of half a minute: two places of a commit, one kind that takes its time, and quick ones."""
    draw = Random(f"schedule:{seed}")
    possible = [fault for fault in EVERY if fault.possible(scene)]
    slow: list[Fault] = [fault for fault in possible if isinstance(fault, _SLOW)]
    sites: list[Fault] = [fault for fault in possible if isinstance(fault, workers.KilledInCommit)]
    quick = [fault for fault in possible if not isinstance(fault, (*_SLOW, workers.KilledInCommit, stores.Behind))]
    chosen: list[Fault] = [draw.choice(slow), *draw.sample(sites, 2)]
    chosen += draw.sample(quick, min(most - len(chosen), len(quick)))
    return draw.sample(chosen, len(chosen))

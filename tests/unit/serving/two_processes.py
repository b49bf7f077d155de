"""Two processes that train together, over gloo on the loopback, without a port to find."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

from torch import distributed

from serving.training.parallel import World

SECONDS = 240


def together(work: Callable[..., None], folder: Path, *arguments: object) -> None:
    """``work(world, folder / rank, *arguments)`` in two processes; both have ended well when this returns."""
    # Forked from a process that has torch: importing it twice takes longer than the tests.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", work.__module__])
    running = [context.Process(target=_member, args=(rank, folder, work, arguments), daemon=True) for rank in range(2)]
    try:
        for process in running:
            process.start()
        for process in running:
            process.join(SECONDS)
        assert [process.exitcode for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()
            process.join()


def _member(rank: int, folder: Path, work: Callable[..., None], arguments: tuple[object, ...]) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    own = folder / str(rank)
    own.mkdir()
    work(World(rank, 2), own, *arguments)
    distributed.destroy_process_group()

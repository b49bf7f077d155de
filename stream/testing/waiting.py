"""Waiting for what another process brings about, without relying on how long it takes.

For tests: the embedded servers themselves wait in `stream.embedded.process`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from stream.embedded.process import is_running

POLL_SECONDS = 0.02


def eventually(condition: Callable[[], object], *, timeout: float = 30.0) -> bool:
    """Whether the condition becomes true within `timeout` seconds; returns as soon as it does."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def all_gone(pids: Iterable[int]) -> bool:
    """Whether none of the processes runs any more; a zombie, which only waits to be collected, does not run."""
    return not any(map(is_running, pids))

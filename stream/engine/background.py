"""Work in a thread of its own for the length of a ``with`` block.

Called by the watchdog of a worker, by what observes a deployment, and by the benchmarks and tests that look on.
"""

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Background(ABC):
    """Starts its thread when the block is entered, and waits for its end when the block is left.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def _run(self) -> None:
        """The work, until ``_ended`` is set."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

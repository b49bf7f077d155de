"""A program that is measured: a child process that ends with the benchmark, however that ends.

What it is, is the caller's business: a worker of Tidemark (``benchmarks.cluster``) or a peer (``benchmarks.peers``).
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from stream.embedded.process import Supervised

ROOT: Final = Path(__file__).resolve().parent.parent
_START_S: Final = 60.0
_STOP_S: Final = 20.0


class Ended(RuntimeError):
    """A program ended while it was measured; the message ends with its log's last lines."""


class Program(Supervised):
    """Runs from the start of its block to the end of it.

    Args:
        name: what it is called in messages.
        environ: variables over the inherited ones.
        log: file that its output is appended to; its folder is the program's working directory.
    """

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        super().__init__(name, log, start_timeout=_START_S, stop_timeout=_STOP_S)
        self._command = list(command)
        self._variables = dict(environ)

    def check(self) -> None:
        """Raises ``Ended`` when the program does not run any more."""
        if not self.alive:
            raise Ended(f"{self.name} ended. {self._log_tail()}")

    def _prepare(self) -> list[str]:
        return self._command

    def _environment(self) -> Mapping[str, str]:
        path = os.pathsep.join(filter(None, (f"{ROOT}", os.environ.get("PYTHONPATH"))))
        return {"PYTHONPATH": path, **self._variables}

    def _is_ready(self) -> bool:
        # How far it is, the broker says.
        return True

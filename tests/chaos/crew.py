"""The workers under test: child processes that are started, made to die, and started again.

Each has a log in the run's folder, which outlives it. Called by the tests; what a worker runs is ``worker.py``'s.
"""

import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.chaos.faults import Site

ROOT: Final = Path(__file__).resolve().parents[2]
_END_S: Final = 30.0
_LOG_TAIL: Final = 3_000


class WorkerEnded(AssertionError):
    """A worker ended by itself, which none may; the message is the end of its log."""


class Member:
    """One worker of the crew. It keeps its instance name over its lives.

    Attributes:
        lives: how often it was started.
    """

    def __init__(self, role: str, instance: str, config: Path, folder: Path) -> None:
        self.role = role
        self.instance = instance
        self.lives = 0
        self._config = config
        self._log = folder / f"{role}-{instance}.log"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.lives += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.worker", str(self._config), self.role, self.instance],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                bufsize=1,
            )

    def arm(self, site: Site, commits: int) -> None:
        """Let it die at its ``commits``-th commit from now."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{site} {commits}\n")

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """``kill -9`` from outside."""
        assert self._process is not None
        self._process.kill()

    def await_death(self, timeout: float = _END_S) -> None:
        """Until it is dead of SIGKILL.

        Raises:
            WorkerEnded: it ended otherwise, or lives on.
        """
        assert self._process is not None
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise WorkerEnded(f"{self.role} {self.instance} did not reach its fault:\n{self.log_tail()}") from None
        self._forget()
        if status != -signal.SIGKILL:
            raise WorkerEnded(f"{self.role} {self.instance} ended with {status}:\n{self.log_tail()}")

    def stop(self) -> None:
        """SIGTERM, as operators stop a worker.

        Raises:
            WorkerEnded: it was gone already, did not stop in time, or its exit status is not 0.
        """
        self.check()
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise WorkerEnded(f"{self.role} {self.instance} did not stop:\n{self.log_tail()}") from None
        self._forget()
        if status != 0:
            raise WorkerEnded(f"{self.role} {self.instance} ended with {status}:\n{self.log_tail()}")

    def check(self) -> None:
        """Raises ``WorkerEnded`` unless it runs."""
        if not self.alive:
            raise WorkerEnded(f"{self.role} {self.instance} has ended:\n{self.log_tail()}")

    def end(self) -> None:
        """Whatever state it is in, it is gone afterwards."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]

    def _forget(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None


class Crew:
    """All workers of a run; none is left when its block ends."""

    def __init__(self, roles: dict[str, int], config: Path, folder: Path, label: str) -> None:
        self.members = [
            Member(role, f"{label}-{number}", config, folder)
            for role, count in roles.items()
            for number in range(count)
        ]

    def of(self, role: str) -> list[Member]:
        return [member for member in self.members if member.role == role]

    def __enter__(self) -> Self:
        for member in self.members:
            member.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members:
            member.end()

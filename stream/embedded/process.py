"""A server that runs as a child process: started, watched, paused, stopped and restarted.

It knows nothing of Kafka or Triton, which are subclasses in `kafka.py` and `triton.py`. The child's death with its
parent is the business of `supervisor.py`, the process that this module puts in between.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from stream.embedded import supervisor

READY_POLL_SECONDS = 0.05
LOG_TAIL_LINES = 30
LOG_LINE_LENGTH = 500


class StartError(RuntimeError):
    """An embedded server died before it was ready, or was not ready in time; the message ends with its log's tail."""


class Supervised(ABC):
    """A server process that dies with its parent and can be restarted on the same ports and data.

    Parameters
    ----------
    name
        What the server is called in messages.
    log_path
        The file its output is appended to; the parent folder is made when missing.
    start_timeout, stop_timeout
        Seconds until a start has failed, and until a stop turns from SIGTERM to SIGKILL.
    temporary
        Glob patterns of what goes when this object goes: at the end of its `with` block, or with the program, however
        that ends.
    """

    def __init__(
        self, name: str, log_path: Path, *, start_timeout: float, stop_timeout: float, temporary: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._temporary = list(temporary)
        self._remove_temporary = weakref.finalize(self, supervisor.remove, self._temporary)

    @abstractmethod
    def _prepare(self) -> list[str]:
        """Make whatever the server needs on disk and return its command line. Called before every start."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Ask the server once, without waiting long, whether it serves."""

    def _environment(self) -> Mapping[str, str]:
        """Environment variables to set for the server, over the inherited ones."""
        return {}

    def _tells_of_failure(self, line: str) -> bool:
        """Whether a line of the log belongs into the message about a failed start."""
        return bool(line.strip())

    @property
    def alive(self) -> bool:
        """Whether the server's process runs (a paused one does)."""
        return self._supervisor is not None and self._supervisor.poll() is None

    @property
    def pid(self) -> int:
        """The id of the server's own process, for instance to `kill -9` it.

        Raises
        ------
        RuntimeError
            If the server was never started.
        """
        if self._pid is None:
            raise RuntimeError(
                f"{self.name} has no process id: it was not started; call start() or enter its `with` block"
            )
        return self._pid

    @property
    def pids(self) -> list[int]:
        """The ids of all processes that run for this server: its supervisor, itself and what it started."""
        if self._supervisor is None or self._pid is None or not self.alive:
            return []
        return [self._supervisor.pid, *group_members(self._pid)]

    def start(self) -> None:
        """Start the server and return when it serves. Nothing happens if it runs already.

        Raises
        ------
        StartError
            If the process ends first, or is not ready within the start timeout; it is killed then.
        """
        if self.alive:
            return
        self._await_end()
        self._spawn(self._prepare())
        deadline = time.monotonic() + self._start_timeout
        try:
            while not self._is_ready():
                if not self.alive:
                    raise StartError(f"{self.name} ended before it was ready. {self._log_tail()}")
                if time.monotonic() > deadline:
                    raise StartError(f"{self.name} was not ready within {self._start_timeout:g} s. {self._log_tail()}")
                time.sleep(READY_POLL_SECONDS)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ask the server to end (SIGTERM), kill it when that takes too long, and return when its processes are gone."""
        if self._supervisor is not None and self.alive:
            # A paused process only acts on SIGTERM once it goes on.
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)
            try:
                self._supervisor.wait(self._stop_timeout)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
        self._await_end()

    def kill(self) -> None:
        """End the server as `kill -9` does, with all its processes, and return when they are gone."""
        self._signal(signal.SIGKILL)
        self._await_end()

    def restart(self) -> None:
        """Stop the server if it still runs and start it again, on the same ports and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): its ports still accept, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._remove_temporary()

    def _spawn(self, command: list[str]) -> None:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__, *self._temporary, "--", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd=self.log_path.parent,
                env={**os.environ, **self._environment()},
                # Out of the terminal's group: Ctrl-C is the parent's to handle, which then stops its servers in order.
                start_new_session=True,
            )
        self._supervisor, self._pid = child, None
        first_line = child.stdout.readline() if child.stdout is not None else b""
        if not first_line:
            raise StartError(f"{self.name} could not be started with {command[0]!r}. {self._log_tail()}")
        self._pid = int(first_line)

    def _signal(self, signal_number: int) -> None:
        """Have the supervisor deliver the signal: it alone knows that the process id is still the server's."""
        if self._supervisor is None or self._supervisor.stdin is None or not self.alive:
            return
        try:
            self._supervisor.stdin.write(bytes([signal_number]))
        except BrokenPipeError:
            return  # The server ended between the look and the write; the next look at `alive` says so.

    def _await_end(self) -> None:
        if self._supervisor is None:
            return
        status = self._supervisor.wait()
        for pipe in (self._supervisor.stdin, self._supervisor.stdout):
            if pipe is not None:
                pipe.close()
        if status < 0 and self._pid is not None:
            # Somebody killed the supervisor, so nobody has ended what it watched.
            supervisor.deliver(signal.SIGKILL, self._pid)
            while group_members(self._pid):
                time.sleep(READY_POLL_SECONDS)
        self._supervisor = None

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        telling = [line[:LOG_LINE_LENGTH] for line in lines if self._tells_of_failure(line)]
        return "\n  ".join([f"The last lines of {self.log_path}:", *telling[-LOG_TAIL_LINES:]])


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than a zombie."""
    return any(pid == running and not state.startswith("Z") for running, _, state in _processes())


def group_members(group: int) -> list[int]:
    """The ids of the live processes of one process group, zombies left out; empty when the group is gone."""
    return sorted(pid for pid, of_group, state in _processes() if of_group == group and not state.startswith("Z"))


def _processes() -> Iterator[tuple[int, int, str]]:
    """Id, group and state of every process, from /proc where there is one (slim images have no `ps`)."""
    if not Path("/proc/self/stat").exists():
        rows = subprocess.run(["ps", "-axo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
        for pid, group, state in map(str.split, rows.splitlines()):
            yield int(pid), int(group), state
        return
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may hold anything, so the fields are counted from its end.
            state, _parent, of_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield int(stat.parent.name), int(of_group), state

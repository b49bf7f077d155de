"""The workers under test: child processes that are started, struck, and started again.

A supervisor as a machine has one: whoever ends without having been told to is noted and started anew. Each life of a
worker has a log in the run's folder, which outlives it. What a worker runs is ``worker.py``'s.
"""

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self

from stream.cli.exits import Exit
from stream.testing.waiting import eventually
from stream.workers.watchdog import EXIT_STATUS
from tests.chaos.broken import Engine
from tests.chaos.faults import Blow, Site
from tests.chaos.worker import Answers

ROOT: Final = Path(__file__).resolve().parents[2]
GIVEN_UP: Final = frozenset({int(Exit.UNREACHABLE), EXIT_STATUS})
"""Exit statuses that say: Kafka is not there, start me again later."""
DAMAGED_STORE: Final = re.compile(r"StoreFailed: the local store (\S+) cannot be read")
"""How a worker ends that comes upon a damage of an earlier fault; it goes on without that store when it is started
again."""
_END_S: Final = 60.0
_LOG_TAIL: Final = 3_000


class WorkerEnded(AssertionError):
    """A worker ended by itself, which none may; the message is the end of its log."""


class Death(NamedTuple):
    """A worker that ended without having been told to."""

    role: str
    instance: str
    status: int
    log_tail: str


class Member:
    """One worker of the crew. It keeps its instance name over its lives.

    Attributes:
        lives: how often it was started.
        wanted: whether it is started again when it ends; whoever strikes it says no first.
        on_disk: whether it keeps its state in RocksDB.
        build: folder whose ``stream`` it runs when it is started next.
    """

    def __init__(
        self,
        role: str,
        instance: str,
        config: Path,
        folder: Path,
        on_disk: bool = False,
        answers: Answers = "drawn",
        engine: Engine = "shipped",
    ) -> None:
        self.role = role
        self.instance = instance
        self.lives = 0
        self.wanted = False
        self.on_disk = on_disk
        self.build = ROOT
        self._config = config
        self._folder = folder
        self._kind = (answers, engine)
        self._process: subprocess.Popen[str] | None = None
        self._armed = ""

    def start(self) -> None:
        self.lives += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.worker", str(self._config), self.role, self.instance, *self._kind],
                # Python looks for modules there first; what another build lacks is taken from here.
                cwd=self.build,
                env=os.environ
                | {
                    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
                    "PYTHONFAULTHANDLER": "1",
                },
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                bufsize=1,
            )
        self._tell_armed()
        self.wanted = True

    @property
    def log(self) -> Path:
        """Of its present life."""
        return self._folder / f"{self.role}-{self.instance}.{self.lives}.log"

    @property
    def store_folder(self) -> Path:
        """Where its local stores are."""
        return self._folder / "stores" / self.instance

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        # Another thread may find it dead and forget it meanwhile.
        process = self._process
        return process is not None and process.poll() is None

    def await_ready(self, timeout: float = _END_S) -> None:
        """Until it has joined the group and restored something, if it is to get anything.

        Raises:
            WorkerEnded: it has ended, or does not get so far.
        """
        if not eventually(lambda: self.wanted and self.alive and self._joined(), timeout=timeout):
            raise WorkerEnded(f"{self.role} {self.instance} does not begin:\n{self.log_tail()}")

    def _joined(self) -> bool:
        return '"event": "assigned"' in self.log.read_text(errors="replace")

    @property
    def frozen(self) -> bool:
        """Whether it is stopped as by SIGSTOP."""
        process = self._process
        try:
            stat = "" if process is None else Path(f"/proc/{process.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            stat = ""
        return stat.rpartition(")")[2].split()[:1] == ["T"]

    def memory_mib(self, kind: Literal["VmRSS", "VmData"] = "VmRSS") -> float:
        """Memory that it has, MiB: resident, or all that it may write to."""
        process = self._process
        try:
            status = "" if process is None else Path(f"/proc/{process.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            status = ""
        # A process that is ending has none any more.
        sizes = [line.split()[1] for line in status.splitlines() if line.startswith(kind)]
        return int(sizes[0]) / 1024 if sizes else 0.0

    def arm(self, blow: Blow, site: Site, commits: int) -> None:
        """Let it be struck at its ``commits``-th commit from now, or of its next life, if this one ends before."""
        self._armed = f"{blow} {site} {commits}\n"
        self._tell_armed()

    def _tell_armed(self) -> None:
        process = self._process
        if self._armed and process is not None and process.stdin is not None:
            # One that is just ending is told again when it is started.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(self._armed)

    def limit(self, which: int, most: int) -> None:
        """Set one of its resource limits, from now on."""
        resource.prlimit(self.pid, which, (most, resource.RLIM_INFINITY))

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """``kill -9`` from outside, until it is dead. It stays so."""
        self.wanted = False
        self.signal(signal.SIGKILL)
        self.await_death()

    def await_frozen(self, timeout: float = _END_S) -> None:
        """Until it stops, as it was armed to.

        Raises:
            WorkerEnded: it ended and is not to be started again, or goes on.
        """
        eventually(lambda: self.frozen or not (self.alive or self.wanted), timeout=timeout)
        self._armed = ""
        if not self.frozen:
            raise WorkerEnded(f"{self.role} {self.instance} did not reach its fault:\n{self.log_tail()}")

    def await_death(self, timeout: float = _END_S) -> None:
        """Until it is dead of SIGKILL.

        Raises:
            WorkerEnded: it ended otherwise, or lives on.
        """
        status = self.await_end(timeout)
        while self._armed and (status in GIVEN_UP or self._found_damage(status)):
            # Its client hung, Kafka was away, or its store was found to be damaged, before it came to the place: in its
            # next life it gets there.
            self.start()
            self.wanted = False
            status = self.await_end(timeout)
        self._armed = ""
        if status != -signal.SIGKILL:
            raise WorkerEnded(f"{self.role} {self.instance} ended with {status}:\n{self.log_tail()}")

    def _found_damage(self, status: int) -> bool:
        return status == Exit.REFUSED and DAMAGED_STORE.search(self.log_tail()) is not None

    def await_end(self, timeout: float = _END_S) -> int:
        """Until it has ended; returns its exit status, negative for a signal.

        Raises:
            WorkerEnded: it lives on.
        """
        assert self._process is not None
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise WorkerEnded(f"{self.role} {self.instance} lives on:\n{self.log_tail()}") from None
        self._forget()
        return status

    def stop(self, forgiven: Collection[int] = ()) -> int:
        """SIGTERM, as operators stop a worker. Returns its exit status.

        Raises:
            WorkerEnded: it was gone already, did not stop in time, or its status is neither 0 nor ``forgiven``.
        """
        self.check()
        self.wanted = False
        self.signal(signal.SIGTERM)
        status = self.await_end()
        if status != 0 and status not in forgiven:
            raise WorkerEnded(f"{self.role} {self.instance} ended with {status}:\n{self.log_tail()}")
        return status

    def check(self) -> None:
        """Raises ``WorkerEnded`` unless it runs."""
        if not self.alive:
            raise WorkerEnded(f"{self.role} {self.instance} has ended:\n{self.log_tail()}")

    def end(self) -> None:
        """Whatever state it is in, it is gone afterwards."""
        self.wanted = False
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def supervise(self) -> Death | None:
        """Start it again if it has ended and should not have."""
        if not self.wanted or self.alive:
            return None
        status = self.await_end()
        death = Death(self.role, self.instance, status, self.log_tail())
        self.start()
        return death

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-_LOG_TAIL:]

    def _forget(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None


class Crew:
    """All workers of a run; none is left when its block ends."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = list(members)

    def of(self, role: str) -> list[Member]:
        return [member for member in self.members if member.role == role]

    def supervise(self) -> list[Death]:
        """Who ended without having been told to; they run again."""
        found = [member.supervise() for member in [*self.members]]
        return [death for death in found if death is not None]

    def __enter__(self) -> Self:
        for member in self.members:
            member.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members:
            member.end()

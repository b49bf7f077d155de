"""What a kind of fault is, and what it may strike.

A fault is struck and lifted by one call. It counts as recovered when every partition of both roles has committed what
its input held at the moment of the lift; ``watch.py`` measures that, the same for every kind.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import ClassVar

from stream.configuration.settings import Configuration
from tests.chaos.brokers import Brokers
from tests.chaos.crew import Crew, Member
from tests.chaos.model import ModelServer
from tests.chaos.watch import Watch
from tests.chaos.writer import Feed


@dataclass(frozen=True)
class Scene:
    """A deployment under load.

    Attributes:
        recruit: makes one more worker of a role, which is not started yet.
        brokers: None where they are somebody else's and must live.
        model: None where answers are drawn.
        flood_s: seconds for which the first flood lasts; 0.0: there are none.
        draw: of the fault that is struck now.
    """

    configuration: Configuration
    folder: Path
    crew: Crew
    feed: Feed
    watch: Watch
    recruit: Callable[[str], Member]
    brokers: Brokers | None
    model: ModelServer | None
    flood_s: float
    draw: Random

    def anyone(self, on_disk: bool = False) -> Member:
        """One of the workers, when it has joined its group.

        Args:
            on_disk: one that keeps its state in RocksDB.
        """
        member = self.draw.choice([member for member in self.crew.members if member.on_disk or not on_disk])
        member.await_ready()
        return member

    @contextmanager
    def gone(self, member: Member) -> Iterator[None]:
        """The worker is dead of SIGKILL for the length of the block, and runs again behind it."""
        member.kill()
        try:
            yield
        finally:
            member.start()


class Fault(ABC):
    """A kind of fault.

    Attributes:
        name: as the report has it.
        what: one sentence for the report.
    """

    name: ClassVar[str]
    what: ClassVar[str]

    def possible(self, scene: Scene) -> bool:
        """Whether the scene has what it strikes."""
        return True

    @abstractmethod
    def strike(self, scene: Scene) -> str:
        """Do it and lift it. Returns what it struck, for the report.

        Raises:
            AssertionError: something happened that must not.
        """

"""Watches a run from outside: who is how far, who stands still and for how long, who has ended, how much memory it has.

It asks the brokers what the groups have committed and knows nothing of the engine. Runs in a thread of its own; the
run waits for it after each fault and prints its figures at the end.
"""

import threading
import time
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.engine.background import Background
from tests.chaos.crew import GIVEN_UP, Crew, Death
from tests.chaos.read_back import group_reader
from tests.chaos.writer import Feed

ROLES: Final = ("profiles", "decisions")
_POLL_S: Final = 0.2
_ANSWER_S: Final = 3.0
_PATIENT_LOOKS: Final = 25
"""So many looks in a row without an answer, five seconds at least: then other clients ask."""

Place = tuple[str, int]
"""A role and one of its partitions."""


class Recovery:
    """A fault was lifted; it is over when every partition has committed what was there then.

    Attributes:
        seconds: from the lift until then; None before.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.seconds: float | None = None
        self.over = threading.Event()
        self.began = time.monotonic()
        self.targets: dict[Place, int] | None = None


class Memory(NamedTuple):
    """MiB of one worker at one moment, monotonic seconds."""

    moment: float
    instance: str
    mib: float


class Watch(Background):
    """Looks five times a second, for the length of a ``with`` block.

    Args:
        servers: addresses that lead past the proxy.

    Attributes:
        deaths: workers that ended without having been told to.
        longest_stall: seconds, and the place where it was.
        lag: records that the two groups have still to commit.
        unanswered: what the brokers did not answer, and why.
    """

    def __init__(self, servers: str, configuration: Configuration, crew: Crew, feed: Feed) -> None:
        super().__init__("chaos-watch")
        names = configuration.topics.topic_names()
        self.deaths: list[Death] = []
        self.longest_stall: tuple[float, str] = (0.0, "")
        self.memory: list[Memory] = []
        self.lag = 0
        self.unanswered: list[str] = []
        self._crew = crew
        self._feed = feed
        self._partitions = configuration.topics.partitions
        self._groups = {role: names.group(role) for role in ROLES}
        self._inputs = {
            "profiles": names.physical(topics.EVENTS),
            "decisions": names.physical(topics.SCORE_REQUESTS),
        }
        self._recoveries: list[Recovery] = []
        self._committed: dict[Place, int] = {}
        self._moved: dict[Place, float] = {}
        self._servers = servers
        self._readers = self._fresh_readers()
        self._refused = 0
        self._failure: BaseException | None = None

    def recovery(self, name: str) -> Recovery:
        """A fault is lifted now."""
        recovery = Recovery(name)
        self._recoveries.append(recovery)
        return recovery

    def growth_mib(self, since: float) -> float:
        """The most that a worker's memory has grown from the first look after ``since`` (monotonic seconds) to now."""
        first: dict[str, float] = {}
        last: dict[str, float] = {}
        for moment, instance, mib in [*self.memory]:
            if moment >= since and mib:
                first.setdefault(instance, mib)
                last[instance] = mib
        return max((last[instance] - mib for instance, mib in first.items()), default=0.0)

    @property
    def given_up(self) -> list[Death]:
        """Workers that ended because Kafka was not there, and were started again."""
        return [death for death in self.deaths if death.status in GIVEN_UP]

    @property
    def unexplained(self) -> list[Death]:
        """Workers that ended and should not have."""
        return [death for death in self.deaths if death.status not in GIVEN_UP]

    def check(self) -> None:
        """Raises what the thread died of."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._ended.wait(_POLL_S):
                self.deaths += self._crew.supervise()
                try:
                    self._look()
                except KafkaException as error:
                    # The broker is away; stalls are counted when it is back.
                    self.unanswered.append(str(error))
                    self._refused += 1
                    if self._refused % _PATIENT_LOOKS == 0:
                        # A client that has met an older leader epoch may never get an answer again.
                        self._readers = self._fresh_readers()
                else:
                    self._refused = 0
        except BaseException as failure:
            self._failure = failure

    def _fresh_readers(self) -> dict[str, Consumer]:
        return {role: group_reader(self._servers, group) for role, group in self._groups.items()}

    def _look(self) -> None:
        now = time.monotonic()
        for member in self._crew.members:
            self.memory.append(Memory(now, f"{member.role} {member.instance}", member.memory_mib()))
        ends = self._ends()
        for role in ROLES:
            asked = [TopicPartition(self._inputs[role], number) for number in range(self._partitions)]
            offsets = [max(found.offset, 0) for found in self._readers[role].committed(asked, _ANSWER_S)]
            for partition, offset in enumerate(offsets):
                self._note((role, partition), offset, ends[role, partition], now)
        self.lag = sum(max(0, end - self._committed[place]) for place, end in ends.items())
        for recovery in [*self._recoveries]:
            self._follow(recovery, ends, now)

    def _ends(self) -> dict[Place, int]:
        """Offset behind what is to be read. The requests' includes markers, so a quiet partition never quite reaches
        it; a recovery asks for what lay there before."""
        ends: dict[Place, int] = {("profiles", number): end for number, end in enumerate(self._feed.writer.ends)}
        for number in range(self._partitions):
            place = TopicPartition(self._inputs["decisions"], number)
            ends["decisions", number] = self._readers["decisions"].get_watermark_offsets(place, _ANSWER_S)[1]
        return ends

    def _note(self, place: Place, offset: int, end: int, now: float) -> None:
        moved = self._moved.get(place, now)
        if offset > self._committed.get(place, -1) or offset >= end - 1:
            moved = now
        self._committed[place], self._moved[place] = offset, moved
        if now - moved > self.longest_stall[0]:
            self.longest_stall = (now - moved, f"{place[0]}[{place[1]}]")

    def _follow(self, recovery: Recovery, ends: dict[Place, int], now: float) -> None:
        if recovery.targets is None:
            recovery.targets = {place: end - 1 for place, end in ends.items()}
        if all(self._committed[place] >= target for place, target in recovery.targets.items()):
            recovery.seconds = time.monotonic() - recovery.began
            recovery.over.set()
            self._recoveries.remove(recovery)

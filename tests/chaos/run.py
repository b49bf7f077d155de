"""One run: a known log is written piece by piece while workers die, then everything is read back.

The seed decides the log, the order of the faults and where they strike; the threads of the operating system decide the
rest. Called by the tests.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient

from stream.configuration.clients import client_properties, producer_properties
from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.operations.topics import create_topics
from stream.testing.waiting import eventually
from tests.chaos.checker import ROLES, Reading, read_everything
from tests.chaos.crew import Crew, Member
from tests.chaos.faults import SITES, Site
from tests.chaos.input_log import PARTITIONS, Written, events_of_now, input_log
from tests.chaos.read_back import committed_offsets, read_topic

_SLICE: Final = 100
_SLICE_PAUSE_S: Final = 0.01
"""Records written at once, and the pause between two slices, in which workers have time for a commit."""
_WAITING_SLICE: Final = 20
_WAITING_PAUSE_S: Final = 0.1
"""The same while a worker that comes back is waited for: it needs something to commit."""
_CATCH_UP_S: Final = 120.0
_SESSION_MS: Final = 4_000

CONFIGURATION: Final = """
data_dir = "{folder}"
[kafka]
bootstrap_servers = "{servers}"
[topics]
prefix = "{prefix}"
partitions = {partitions}
[engine]
commit_interval_ms = 25
backlog_commit_interval_ms = 25
consume_batch = 500
timers_per_step = 200
session_timeout_ms = {session_ms}
transaction_timeout_ms = {session_ms}
store = "{store}"
[profiles]
browse_every_n = 2
ask_interval_ms = 600000
[policies]
daily_cap = 5
[policies.churn_risk]
raise_threshold = 0.75
resolve_threshold = 0.5
silent_from_days = 0.0
cool_down_days = 0.5
expiry_days = 4.0
[policies.second_purchase]
raise_threshold = 0.75
resolve_threshold = 0.5
silent_from_days = 0.0
cool_down_days = 0.5
expiry_days = 4.0
"""
"""Short intervals, so that there are many commits to die in; low thresholds, so that there are many alerts."""


class Strike(NamedTuple):
    """One fault of the schedule.

    Attributes:
        member: number of the worker in the crew.
        site: where in a commit, or None for a kill from outside at a random moment.
        commits: at which commit from now.
        share: how much of the strike's piece of the log is written before a kill from outside.
        absent: the worker stays away until its partitions have gone to the others.
    """

    member: int
    site: Site | None
    commits: int
    share: float
    absent: bool


class Run(NamedTuple):
    """What a run left."""

    configuration: Configuration
    reading: Reading
    faults: int
    aborted: int
    """Records that no reader of committed records sees."""


def schedule(kills: int, seed: int, members: int) -> list[Strike]:
    """Every site at least once where there are kills enough, every worker in turn, a third from outside."""
    draw = Random(f"faults:{seed}")
    sites: list[Site | None] = [*SITES, *[None] * (len(SITES) // 2)]
    drawn: list[Site | None] = []
    while len(drawn) < kills:
        drawn += draw.sample(sites, len(sites))
    victims = [number % members for number in range(kills)]
    draw.shuffle(victims)
    absent = draw.randrange(kills)
    return [
        Strike(victim, site, draw.randint(1, 4), draw.random(), number == absent)
        for number, (victim, site) in enumerate(zip(victims, drawn[:kills], strict=True))
    ]


def run(servers: str, folder: Path, prefix: str, events: int, kills: int, seed: int, store: str = "memory") -> Run:
    """Write, kill, wait until all is done, stop, read back."""
    config = folder / "tidemark.toml"
    config.write_text(
        CONFIGURATION.format(
            folder=folder, servers=servers, prefix=prefix, partitions=PARTITIONS, session_ms=_SESSION_MS, store=store
        )
    )
    configuration = load(config, {}).configuration
    admin = AdminClient(client_properties(configuration.kafka))
    create_topics(admin, configuration.topics)
    names = configuration.topics.topic_names()
    customers = max(events // 60, 50)
    log = input_log(events, seed, customers)
    writer = Writer(configuration, names.physical(topics.EVENTS))
    piece = len(log) // (kills + 1)
    with Crew(dict.fromkeys(ROLES, 2), config, folder, prefix.strip(".")) as crew:
        for number, strike in enumerate(schedule(kills, seed, len(crew.members)), start=1):
            _strike(crew.members[strike.member], strike, writer, log, number * piece)
        writer.write(log[writer.written :])
        writer.write(events_of_now(events, seed, customers))
        await_catching_up(configuration, writer.ends, crew)
    reading = read_everything(configuration)
    written_to = [names.physical(topics.SCORE_REQUESTS), *(names.changelog(role) for role in ROLES)]
    return Run(configuration, reading, kills, sum(_aborted(servers, topic) for topic in written_to))


def _aborted(servers: str, topic: str) -> int:
    written, committed = (read_topic(servers, topic, aborted_too=aborted_too) for aborted_too in (True, False))
    return sum(map(len, written)) - sum(map(len, committed))


def _strike(member: Member, strike: Strike, writer: "Writer", log: list[Written], until: int) -> None:
    """Write on until the worker has died and ``until`` records are written, and bring it back."""
    member.check()
    if strike.site is not None:
        member.arm(strike.site, strike.commits)
    kill_at = writer.written + strike.share * (until - writer.written)
    while (alive := member.alive) or writer.written < until:
        assert writer.written < len(log), f"{member.role} {member.instance} lives on:\n{member.log_tail()}"
        waiting = writer.written >= until
        writer.write(log[writer.written : writer.written + (_WAITING_SLICE if waiting else _SLICE)])
        if alive and strike.site is None and writer.written >= kill_at:
            member.kill()
        time.sleep(_WAITING_PAUSE_S if waiting else _SLICE_PAUSE_S)
    member.await_death()
    if strike.absent:
        time.sleep(_SESSION_MS / 1000 + 1)
    member.start()


class Writer:
    """Writes the log, in order.

    Attributes:
        written: how many records.
        ends: offset behind the last record written, by partition.
    """

    def __init__(self, configuration: Configuration, topic: str) -> None:
        self.written = 0
        self.ends = [0] * configuration.topics.partitions
        self._topic = topic
        self._producer = Producer({**producer_properties(configuration.kafka), "linger.ms": 5})

    def write(self, records: Iterable[Written]) -> None:
        """Write and wait until the broker has them all."""
        for key, value, headers, partition in records:
            self._producer.produce(
                self._topic, value, key, partition, headers=list(headers), on_delivery=self._delivered
            )
            self._producer.poll(0)
            self.written += 1
        left = self._producer.flush(_CATCH_UP_S)
        assert left == 0, f"{left} records were not written"

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        assert error is None, str(error)
        partition = message.partition() or 0
        self.ends[partition] = max(self.ends[partition], (message.offset() or 0) + 1)


def await_catching_up(configuration: Configuration, ends: list[int], crew: Crew) -> None:
    """Wait until the log is folded, stop the workers of profiles, wait for the decisions, stop those too."""
    servers, names = configuration.kafka.bootstrap_servers, configuration.topics.topic_names()
    events, requests = names.physical(topics.EVENTS), names.physical(topics.SCORE_REQUESTS)
    admin = AdminClient(client_properties(configuration.kafka))

    def reached(role: str, topic: str, ends: list[int]) -> Callable[[], bool]:
        def look() -> bool:
            for member in crew.of(role):
                member.check()
            now = committed_offsets(admin, names.group(role), topic, len(ends))
            return all(offset >= end for offset, end in zip(now, ends, strict=True))

        return look

    assert eventually(reached("profiles", events, ends), timeout=_CATCH_UP_S), "profiles do not catch up"
    for member in crew.of("profiles"):
        member.stop()
    asked: list[int] = []
    # Decisions put questions again themselves, so the end is reached when it does not move any more.
    while (now := _last_questions(servers, requests)) != asked:
        asked = now
        assert eventually(reached("decisions", requests, asked), timeout=_CATCH_UP_S), "decisions do not catch up"
    for member in crew.of("decisions"):
        member.stop()


def _last_questions(servers: str, topic: str) -> list[int]:
    """Offset behind the last request of a customer, by partition."""
    partitions = read_topic(servers, topic)
    return [max((r.offset + 1 for r in records if r.key is not None), default=0) for records in partitions]

"""One run: a known log is written at a pace while faults strike, then everything is read back.

Called by the command (``__main__.py``) with brokers and a model server of the run's own, and by the tests on the
session's broker with a few quick faults.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.testing.waiting import eventually
from tests.chaos.brokers import Brokers
from tests.chaos.checker import ROLES, Reading, read_everything
from tests.chaos.crew import GIVEN_UP, Crew, Member
from tests.chaos.deployment import SESSION_MS, TRANSACTION_MS, configuration_text, create
from tests.chaos.input_log import chapters, events_of_now
from tests.chaos.kinds.fault import Fault, Scene
from tests.chaos.model import ModelServer
from tests.chaos.read_back import committed_offsets, flat, group_reader, in_sync, last_records, read_topic
from tests.chaos.watch import Recovery, Watch
from tests.chaos.worker import Answers
from tests.chaos.writer import Feed, Writer, fingerprint

CUSTOMERS: Final = 400
_AT_THE_END: Final = 10_000
"""A fiftieth of so many events happens now, at the end."""
_CATCH_UP_S: Final = 240.0
_RECOVERS_WITHIN_S: Final = 180.0
_WARM_UP_S: Final = 60.0
_IMPATIENCE: Final = 0.2
"""Share of faults behind which the next one strikes before it is recovered."""

Schedule = Callable[[Scene], Iterable[Fault]]
Say = Callable[[str], None]


class Struck(NamedTuple):
    """A fault that was struck.

    Attributes:
        seconds: from the beginning to the lift.
        error: what happened that must not; "" for nothing.
    """

    fault: Fault
    detail: str
    seconds: float
    recovery: Recovery
    error: str


class Run(NamedTuple):
    """What a run left.

    Attributes:
        aborted: records that no reader of committed records sees.
        unwritten: records that were written and do not lie in the log, or lie there and were never written.
        resent: records that lie there more often than they were written: a client that loses sight of what it has sent
            begins a new epoch, and may send some again.
        model_deaths: how often the model server died of itself.
    """

    configuration: Configuration
    reading: Reading
    struck: list[Struck]
    watch: Watch
    aborted: int
    unwritten: int
    resent: int
    model_deaths: int
    seconds: float


class Setting(NamedTuple):
    """Where a run takes place.

    Attributes:
        flood_s: seconds for which the first flood lasts.
        servers: addresses of brokers, past a proxy where there is one.
        brokers: the run's own; None where they are somebody else's.
        model: None: answers are drawn.
    """

    folder: Path
    prefix: str
    servers: str
    brokers: Brokers | None = None
    model: ModelServer | None = None
    flood_s: float = 0.0


def run(setting: Setting, seed: int, pace: float, schedule: Schedule, say: Say = print) -> Run:
    """Write, strike, wait until all is done, stop, read back."""
    began = time.monotonic()
    configuration = _configured(setting)
    create(configuration)
    names = configuration.topics.topic_names()
    writer = Writer(configuration, names.physical(topics.EVENTS))
    recruits = _Recruits(setting)
    crew = Crew([recruits(role) for role in ROLES for _ in range(2)])
    with ExitStack() as stack:
        stack.enter_context(crew)
        feed = stack.enter_context(Feed(writer, chapters(seed, CUSTOMERS), pace))
        watch = stack.enter_context(Watch(setting.servers, configuration, crew, feed))
        scene = Scene(
            configuration=configuration,
            folder=setting.folder,
            crew=crew,
            feed=feed,
            watch=watch,
            recruit=recruits,
            brokers=setting.brokers,
            model=setting.model,
            flood_s=setting.flood_s,
            draw=Random(),
        )
        assert eventually(lambda: all(writer.ends), timeout=_WARM_UP_S), "nothing is written"
        assert watch.recovery("start").over.wait(_WARM_UP_S), "the workers do not begin"
        struck = _strike_all(scene, schedule, seed, say)
        feed.end()
        if setting.brokers is not None:
            in_sync(setting.servers)
        writer.write(events_of_now(_AT_THE_END, seed, CUSTOMERS))
        say("catching up")
        await_catching_up(configuration, writer.ends, crew, watch)
    reading = read_everything(configuration)
    written_to = [names.physical(topics.SCORE_REQUESTS), *(names.changelog(role) for role in ROLES)]
    aborted = sum(_aborted(setting.servers, topic) for topic in written_to)
    lie = Counter(fingerprint(record.key, record.value) for record in flat(reading.topics[topics.EVENTS]))
    surplus, known = lie - writer.fingerprints, writer.fingerprints
    resent = sum(times for which, times in surplus.items() if which in known)
    unwritten = (known - lie).total() + surplus.total() - resent
    seconds = time.monotonic() - began
    model_deaths = 0 if setting.model is None else setting.model.deaths
    return Run(configuration, reading, struck, watch, aborted, unwritten, resent, model_deaths, seconds)


class _Recruits:
    """Makes workers: every second one keeps its state on disk, the others go through the proxy."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._numbers = {role: count() for role in ROLES}

    def __call__(self, role: str) -> Member:
        setting, number = self._setting, next(self._numbers[role])
        on_disk = number % 2 == 0
        instance = f"{setting.prefix.strip('.')}-{role[0]}{number}"
        config = setting.folder / f"{instance}.toml"
        through_proxy = setting.brokers is not None and not on_disk
        servers = setting.brokers.proxied_servers if through_proxy and setting.brokers else setting.servers
        config.write_text(_text(setting, servers, on_disk))
        answers: Answers = "drawn" if setting.model is None else "model"
        return Member(role, instance, config, setting.folder, on_disk, answers)


def _text(setting: Setting, servers: str, on_disk: bool) -> str:
    return configuration_text(
        setting.folder,
        servers,
        setting.prefix,
        store="rocksdb" if on_disk else "memory",
        replication=len(setting.brokers.nodes) if setting.brokers is not None else 1,
        transaction_ms=TRANSACTION_MS if setting.brokers is not None else SESSION_MS,
        model=setting.model.url if setting.model is not None else "",
    )


def _configured(setting: Setting) -> Configuration:
    config = setting.folder / "tidemark.toml"
    config.write_text(_text(setting, setting.servers, on_disk=False))
    return load(config, {}).configuration


def _strike_all(scene: Scene, schedule: Schedule, seed: int, say: Say) -> list[Struck]:
    struck: list[Struck] = []
    patience = Random(f"patience:{seed}")
    for number, fault in enumerate(schedule(scene), start=1):
        struck.append(_strike(replace(scene, draw=Random(f"fault:{seed}:{number}")), fault))
        latest = struck[-1]
        if patience.random() > _IMPATIENCE:
            latest.recovery.over.wait(_RECOVERS_WITHIN_S)
        say(f"{number:>4} {fault.name:<26} {latest.seconds:6.1f} s, {_told(latest.recovery)}  {latest.detail}")
        if latest.error:
            say(f"     wrong: {latest.error}")
        scene.watch.check()
    for each in struck:
        each.recovery.over.wait(_RECOVERS_WITHIN_S)
    return struck


def _strike(scene: Scene, fault: Fault) -> Struck:
    began, detail, error = time.monotonic(), "", ""
    try:
        detail = fault.strike(scene)
    except Exception as failure:  # An hour's run does not end by one fault that failed; it is told as wrong.
        error = str(failure) or repr(failure)
        # Whoever was struck may be half struck.
        for member in scene.crew.members:
            member.end()
            member.start()
    return Struck(fault, detail, time.monotonic() - began, scene.watch.recovery(fault.name), error)


def _told(recovery: Recovery) -> str:
    return "not recovered yet" if recovery.seconds is None else f"recovered in {recovery.seconds:5.1f} s"


def _aborted(servers: str, topic: str) -> int:
    written, committed = (read_topic(servers, topic, aborted_too=aborted_too) for aborted_too in (True, False))
    return sum(map(len, written)) - sum(map(len, committed))


def await_catching_up(
    configuration: Configuration,
    ends: list[int],
    crew: Crew,
    watch: Watch | None = None,
    patience_s: float = _CATCH_UP_S,
) -> None:
    """Wait until the log is folded, stop the workers of profiles, wait for the decisions, stop those too.

    Args:
        ends: offset behind the last event, by partition.
        watch: keeps the workers running; without one, none may end.
    """
    servers, names = configuration.kafka.bootstrap_servers, configuration.topics.topic_names()
    events, requests = names.physical(topics.EVENTS), names.physical(topics.SCORE_REQUESTS)

    def reached(role: str, topic: str, ends: list[int]) -> Callable[[], bool]:
        reader = group_reader(servers, names.group(role))

        def look() -> bool:
            if watch is None:
                for member in crew.of(role):
                    member.check()
            now = committed_offsets(reader, topic, len(ends))
            return all(offset >= end for offset, end in zip(now, ends, strict=True))

        return look

    assert eventually(reached("profiles", events, ends), timeout=patience_s), "profiles do not catch up"
    for member in crew.of("profiles"):
        _stop(member)
    if not crew.of("decisions"):
        return
    # Decisions put questions again themselves, so the end is reached when it does not move any more.
    asked: list[int] = []
    while (now := last_records(servers, requests)) != asked:
        asked = now
        assert eventually(reached("decisions", requests, asked), timeout=patience_s), "decisions do not catch up"
    for member in crew.of("decisions"):
        _stop(member)


def _stop(member: Member) -> None:
    # One whose client hangs is ended by its watchdog, and started again, as any supervisor does.
    while member.stop(GIVEN_UP) != 0:
        member.start()
        member.await_ready()


def until(seconds: float, schedule: Callable[[Scene], Iterator[Fault]]) -> Schedule:
    """The schedule, as long as there is time."""

    def timed(scene: Scene) -> Iterator[Fault]:
        deadline = time.monotonic() + seconds
        for fault in schedule(scene):
            if time.monotonic() > deadline:
                return
            yield fault

    return timed

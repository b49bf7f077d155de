"""One partition of the profiles role, fed with the compiled fast path or without, for the tests that hold the two ways
together. Called by ``test_fast_path*``.
"""

from collections.abc import Iterable
from typing import Any

from confluent_kafka import Message

from stream.contracts.emission import Rejected
from stream.contracts.times import DAY_MS, MINUTE_MS
from stream.contracts.topics import TopicNames
from stream.engine.holdings import Held, Holdings
from stream.engine.intake import Intake
from stream.engine.partition import Partition
from stream.engine.processor import OutputRecord, Record
from stream.engine.settings import EngineSettings
from stream.engine.stores.memory import MemoryStore
from stream.engine.worker import Worker
from stream.profiles.settings import ProfileSettings
from stream.workers.profiles import ProfilesProcessor

START = 1_298_000_000_000
SETTINGS = ProfileSettings(browse_every_n=3, ask_interval_ms=10 * MINUTE_MS, exchange_rates={"USD": 0.8})
APPENDED = START + 900 * DAY_MS


def bury(record: Record, refusal: Rejected) -> OutputRecord:
    return OutputRecord("dead", record.key, record.value, (("why", str(refusal).encode()),), -1)


class Way:
    """One partition that is fed by the intake, with the fast path or without."""

    def __init__(self, fast: bool, most_bytes: int = 900_000, partitions: int = 1) -> None:
        self.processor = ProfilesProcessor(TopicNames(), SETTINGS, partitions, "test")
        engine = EngineSettings()
        self.partition = Partition(0, self.processor, MemoryStore(), bury, most_bytes, 2, fast)
        self.partition.begin(None, 0)
        holdings: Holdings[Any, Any] = Holdings(self.processor.input_topic)
        self.held = holdings.held[0] = Held(self.partition, engine)
        self.intake = Intake(None, self.processor, holdings, engine, None, None)  # type: ignore[arg-type]
        self.taken = 0
        self._holdings, self._settings = holdings, engine

    def feed(self, messages: list[Message]) -> None:
        if self.partition.fast_path is not None:
            before = len(self.partition._window)
            self.intake.accept(messages)
            self.taken += sum(isinstance(one, Message) for one in self.partition._window[before:])
        else:
            self.intake.accept(messages)
        while self.held.pending:
            Worker._fold(self, self.held, 1 << 60)  # type: ignore[arg-type]

    def commit(self) -> tuple[Any, ...]:
        changes, position = self.partition.changes()
        outputs = list(self.partition.context.outputs)
        self.partition.committed(changes, position, 1)
        return changes, position, outputs, self.partition.tally, self.partition.timers.next_due()


def message(
    offset: int, key: bytes | None, value: bytes | None, headers: Any = None, appended: int = APPENDED
) -> Message:
    return Message(
        topic="customer.events.v1",
        partition=0,
        offset=offset,
        key=key,
        value=value,
        headers=headers,
        timestamp=(2, appended),
    )


def same(messages: Iterable[Message], commit_every: int = 1 << 30) -> Way:
    """Feeds both ways, and holds what they commit against each other. The fast one."""
    log = list(messages)
    fast, long = Way(True), Way(False)
    for at in range(0, len(log), commit_every):
        fast.feed(log[at : at + commit_every])
        long.feed(log[at : at + commit_every])
        assert fast.commit() == long.commit()
    assert fast.processor.counters() == long.processor.counters()
    return fast

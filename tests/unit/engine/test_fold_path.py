"""The compiled way to a fold in Python does what the long way does: same bytes, outputs, dead letters and tallies."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from confluent_kafka import Message

from stream.engine.holdings import Held, Holdings
from stream.engine.intake import Intake
from stream.engine.partition import Partition
from stream.engine.position import frame
from stream.engine.processor import NewerState, Parsed, Processor, Record
from stream.engine.settings import EngineSettings
from stream.engine.stores.memory import MemoryStore
from stream.engine.worker import Worker
from tests.integration.engine.counting import NEWER, WORDS, Counting, Said, Sum, dead_letter

LIMIT = 200
KEYS = (b"a", b"b", b"c", b"d", None)
SETTINGS = EngineSettings(timers_per_step=3)


class NoTimers(Counting):
    """Without timers and signals: nothing is to be kept but the state."""

    def due(self, state: Sum, /) -> int:
        return 0

    waiting = Processor.waiting


class OnlySignals(Counting):
    """Without timers; a signal may come with a record that has a key."""

    def parse(self, record: Record) -> Parsed[Said]:
        parsed = super().parse(record)
        parsed.signal = parsed.payload.word == "signal"
        return parsed

    def due(self, state: Sum, /) -> int:
        return 0


class Way:
    """One partition that is fed by the intake, by the compiled way or the long one."""

    def __init__(self, processor: Counting, fast: bool) -> None:
        self.partition = Partition(0, processor, MemoryStore(), dead_letter("dead"), LIMIT, 2, fast)
        self.partition.begin(None, 0)
        self._holdings: Holdings[Sum, Said] = Holdings(processor.input_topic)
        self._settings = SETTINGS
        self.held = self._holdings.held[0] = Held(self.partition, SETTINGS)
        self.intake = Intake(None, processor, self._holdings, SETTINGS, None, None)  # type: ignore[arg-type]
        self.taken = 0

    def feed(self, messages: Sequence[Message]) -> None:
        before = len(self.partition._window)
        self.intake.accept([*messages])
        self.taken += sum(isinstance(one, Message) for one in self.partition._window[before:])
        while self.held.pending:
            Worker._fold(self, self.held, 1 << 60)  # type: ignore[arg-type]

    def commit(self) -> tuple[Any, ...]:
        changes, position = self.partition.changes()
        outputs = [*self.partition.context.outputs]
        self.partition.committed(changes, position, 1)
        return changes, position, outputs, self.partition.tally, self.partition.timers.next_due()

    def roll_back(self) -> int:
        self.partition.roll_back()
        self._holdings.drop_pending(self.held)
        return self.partition.next_offset


def message(offset: int, key: bytes | None, value: bytes | None) -> Message:
    return Message(topic="input", partition=0, offset=offset, key=key, value=value, timestamp=(2, 1_000_000 + offset))


def drawn(count: int, draw: Random) -> list[Message]:
    log, now = [], 10_000
    for offset in range(count):
        now = max(1_000, now + draw.randint(-400, 500))
        word = draw.choice((*WORDS, "signal")) if draw.random() < 0.1 else "plain"
        value = b"garbage" if draw.random() < 0.02 else f"{now} {draw.randint(-9, 9)} {word}".encode()
        log.append(message(offset, draw.choice(KEYS), value))
    return log


@pytest.fixture(autouse=True)
def compiled() -> None:
    if Way(Counting(), fast=True).partition.fast_path is None:
        pytest.skip("no compiler: there is no compiled way to test")


@pytest.mark.parametrize("processor", [Counting, NoTimers, OnlySignals])
@pytest.mark.parametrize("seed", range(20))
def test_both_ways_make_the_same_of_a_log(processor: type[Counting], seed: int) -> None:
    draw = Random(seed)
    log = drawn(1_500, draw)
    fast, long = (Way(processor(big=LIMIT + 1), fast) for fast in (True, False))
    at = 0
    while at < len(log):
        part = log[at : at + draw.randint(1, 60)]
        for way in (fast, long):
            way.feed(part)
        if draw.random() < 0.2:
            assert fast.roll_back() == long.roll_back()
            at = fast.partition.next_offset
        else:
            assert fast.commit() == long.commit()
            at += len(part)
    assert fast.taken > len(log) / (3 if processor is NoTimers else 10)
    assert long.taken == 0


def test_a_state_of_a_newer_version_is_not_folded() -> None:
    way = Way(Counting(), fast=True)
    way.partition.store.write({b"a": frame(0, False, NEWER)}, None, 1)
    with pytest.raises(NewerState):
        way.feed([message(0, b"a", b"10000 1")])
    assert way.partition.next_offset == 0


def test_a_record_that_was_folded_before_is_left_alone() -> None:
    way = Way(Counting(), fast=True)
    way.feed([message(0, b"a", b"10000 1"), message(1, b"a", b"10001 1")])
    way.feed([message(0, b"a", b"10000 1")])
    assert (way.partition.next_offset, way.partition.uncommitted) == (2, 2)

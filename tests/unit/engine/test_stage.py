"""The stage answers every record once, in its own order or not, and never has more in flight than it may."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from stream.contracts.emission import Rejected
from stream.engine.processor import Stage
from stream.engine.stage import StageRunner, Ticket
from stream.testing.waiting import eventually


class Doubling(Stage[int]):
    """Answers with the double, when it is let go."""

    def __init__(self, max_batch: int = 4, max_in_flight: int = 3) -> None:
        self.max_batch = max_batch
        self.max_in_flight = max_in_flight
        self.go = threading.Event()
        self.batches: list[list[int]] = []
        self.now = self.most = 0
        self.events: list[str] = []

    def needs(self, payload: int) -> bool:
        return True

    async def open(self) -> None:
        self.events.append("open")

    async def close(self) -> None:
        self.events.append("close")

    async def run(self, batch: Sequence[int]) -> list[int]:
        self.batches.append(list(batch))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.to_thread(self.go.wait, 5)
            # Later batches end first.
            await asyncio.sleep(0.02 / len(self.batches))
            if 666 in batch:
                raise RuntimeError("planted")
            return [2 * payload for payload in batch] if 333 not in batch else []
        finally:
            self.now -= 1


@contextmanager
def running(stage: Doubling) -> Iterator[StageRunner[int]]:
    runner = StageRunner(stage)
    try:
        yield runner
    finally:
        runner.close()


def test_each_ticket_gets_its_own_answer_and_no_more_than_allowed_are_in_flight() -> None:
    stage = Doubling()
    with running(stage) as runner:
        work = [(number, Ticket()) for number in range(30)]
        runner.submit(work[:7])
        runner.submit(work[7:])
        assert eventually(lambda: stage.now == 3, timeout=5)
        assert not any(ticket.done for _, ticket in work)
        stage.go.set()
        assert eventually(lambda: all(ticket.done for _, ticket in work), timeout=5)
        assert [ticket.answer() for _, ticket in work] == [2 * number for number, _ in work]
    assert stage.most == runner.deepest == 3
    assert runner.in_flight == 0
    assert max(map(len, stage.batches)) == 4
    assert stage.events == ["open", "close"]


@pytest.mark.parametrize("bad", [666, 333])
def test_a_failing_record_is_refused_and_those_of_its_batch_are_answered(bad: int) -> None:
    stage = Doubling(max_batch=8)
    stage.go.set()
    with running(stage) as runner:
        work = [(number, Ticket()) for number in (1, 2, bad, 3)]
        runner.submit(work)
        assert eventually(lambda: all(ticket.done for _, ticket in work), timeout=5)
        assert [ticket.answer() for number, ticket in work if number != bad] == [2, 4, 6]
        with pytest.raises(Rejected) as refusal:
            work[2][1].answer()
        assert refusal.value.code == "stage_error"


def test_a_stage_without_memory_blames_no_record() -> None:
    ticket = Ticket()
    ticket.resolve(None, MemoryError())
    with pytest.raises(MemoryError):
        ticket.answer()


def test_void_records_are_not_asked() -> None:
    stage = Doubling(max_batch=1, max_in_flight=1)
    with running(stage) as runner:
        work = [(number, Ticket()) for number in range(5)]
        runner.submit(work)
        assert eventually(lambda: stage.now == 1, timeout=5)
        for _, ticket in work[1:4]:
            ticket.void = True
        stage.go.set()
        assert eventually(lambda: work[4][1].done, timeout=5)
    assert stage.batches == [[0], [4]]


def test_the_worker_is_woken_when_an_answer_comes() -> None:
    stage = Doubling()
    with running(stage) as runner:
        runner.submit([(1, Ticket())])
        threading.Timer(0.05, stage.go.set).start()
        began = time.monotonic()
        runner.wait(5)
        assert time.monotonic() - began < 2


def test_it_ends_while_batches_are_in_flight() -> None:
    stage = Doubling()
    runner = StageRunner(stage)
    runner.submit([(number, Ticket()) for number in range(30)])
    assert eventually(lambda: stage.now == 3, timeout=5)
    runner.close()
    assert stage.now == 0
    assert stage.events == ["open", "close"]
    assert not any(thread.name == "tidemark-stage" for thread in threading.enumerate())

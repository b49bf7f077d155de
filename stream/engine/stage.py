"""Runs a processor's stage: batches in flight on an event loop in its own thread, answers handed back through tickets.

Batches may end in any order. The order of the fold is not this module's concern: the worker folds a partition's
entries from the front and stops at the first whose ticket has no answer yet.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import structlog

from stream.contracts.emission import Rejected
from stream.engine.processor import Stage

P = TypeVar("P")

_log = structlog.get_logger(__name__)


class Ticket:
    """A record's place in the stage."""

    __slots__ = ("_answer", "_failure", "done", "void")

    def __init__(self) -> None:
        self.done = False
        self.void = False
        self._answer: Any = None
        self._failure: Exception | None = None

    def resolve(self, answer: Any, failure: Exception | None = None) -> None:
        self._answer = answer
        self._failure = failure
        self.done = True

    def answer(self) -> Any:
        """The stage's answer. Raises ``Rejected`` when the stage failed, ``MemoryError`` when it had no memory."""
        if isinstance(self._failure, MemoryError):
            raise self._failure
        if self._failure is not None:
            raise Rejected("stage_error", f"{type(self._failure).__name__}: {self._failure}")
        return self._answer


class StageRunner(Generic[P]):
    """Feeds a stage from the worker's thread.

    Attributes:
        in_flight: batches that are with the stage now.
        deepest: the most batches that were in flight at once.
    """

    def __init__(self, stage: Stage[P]) -> None:
        self._stage = stage
        self._queue: deque[tuple[P, Ticket]] = deque()
        self._arrived = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.in_flight = 0
        self.deepest = 0
        self._thread = threading.Thread(target=self._run, name="tidemark-stage", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(stage.open(), self._loop).result()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def submit(self, work: Sequence[tuple[P, Ticket]]) -> None:
        """Hand over payloads with their tickets. Called from the worker's thread, once for many records."""
        self._loop.call_soon_threadsafe(self._enqueue, work)

    def _enqueue(self, work: Sequence[tuple[P, Ticket]]) -> None:
        self._queue.extend(work)
        self._start_batches()

    def _start_batches(self) -> None:
        stage, queue = self._stage, self._queue
        while queue and self.in_flight < stage.max_in_flight:
            batch: list[tuple[P, Ticket]] = []
            while queue and len(batch) < stage.max_batch:
                payload, ticket = queue.popleft()
                if not ticket.void:
                    batch.append((payload, ticket))
            if not batch:
                return
            self.in_flight += 1
            self.deepest = max(self.deepest, self.in_flight)
            task = self._loop.create_task(self._run_batch(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run_batch(self, batch: list[tuple[P, Ticket]]) -> None:
        try:
            await self._answer(batch)
        finally:
            self.in_flight -= 1
            self._arrived.set()
            self._start_batches()

    async def _answer(self, batch: list[tuple[P, Ticket]]) -> None:
        try:
            answers = await self._stage.run([payload for payload, _ in batch])
            if len(answers) != len(batch):
                raise ValueError(f"the stage gave {len(answers)} answers to {len(batch)} records")
        except Exception as error:
            _log.warning("stage failed", records=len(batch), exc_info=error)
            if len(batch) == 1:
                batch[0][1].resolve(None, error)
                return
            # One record may have failed the batch; those beside it are not to suffer for it.
            for one in batch:
                await self._answer([one])
        else:
            for (_, ticket), answer in zip(batch, answers, strict=True):
                ticket.resolve(answer)

    def wait(self, seconds: float) -> None:
        """Wait until a batch has ended, at most ``seconds``."""
        if self._arrived.wait(seconds):
            self._arrived.clear()

    def close(self) -> None:
        """Cancel what is in flight and end the thread."""

        async def end() -> None:
            self._queue.clear()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._stage.close()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

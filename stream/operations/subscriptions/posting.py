"""Attempts under way, in a thread with an event loop of its own.

It knows neither order nor retries: it is told to try a delivery, and puts what became of it into a queue. Called by
``subscription.py``, whose thread belongs to Kafka.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple

from stream.engine.background import Background
from stream.operations.subscriptions.outcomes import Delivery, Outcome, Sink


class Answer(NamedTuple):
    """The end of an attempt."""

    delivery: Delivery
    outcome: Outcome | Exception
    """An exception is an error of ours."""


class Posting(Background):
    """Runs attempts for the length of a ``with`` block; those that are under way at its end are broken off.

    Args:
        make_sink: called within the event loop.
    """

    def __init__(self, make_sink: Callable[[], Sink]) -> None:
        super().__init__("tidemark-posting")
        self._make_sink = make_sink
        self._loop = asyncio.new_event_loop()
        self._sink: Future[Sink] = Future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers: SimpleQueue[Answer] = SimpleQueue()

    def start(self, delivery: Delivery) -> None:
        """Begin an attempt."""
        self._loop.call_soon_threadsafe(self._begin, delivery)

    def answer(self, timeout_s: float) -> Answer | None:
        """The next attempt that has ended; None where none does in time."""
        with suppress(Empty):
            return self._answers.get(timeout=timeout_s) if timeout_s > 0 else self._answers.get_nowait()
        return None

    def __enter__(self) -> Posting:
        super().__enter__()
        self._sink.result()
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._open())
            if self._sink.exception() is None:
                self._loop.run_forever()
                self._loop.run_until_complete(self._close())
        finally:
            self._loop.close()

    async def _open(self) -> None:
        try:
            self._sink.set_result(self._make_sink())
        except Exception as error:
            self._sink.set_exception(error)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sink.result().close()

    def _begin(self, delivery: Delivery) -> None:
        task = self._loop.create_task(self._try(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try(self, delivery: Delivery) -> None:
        try:
            outcome: Outcome | Exception = await self._sink.result().send(delivery)
        except Exception as error:
            outcome = error
        self._answers.put(Answer(delivery, outcome))

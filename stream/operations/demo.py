"""Replays eighteen months of real orders through everything that a deployment has: a real Kafka, a real Triton, both
workers.

It sends the events and waits; what they are is `demo_events.py`'s business, what came out of them `demo_report.py`'s.
Called by `tidemark demo`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from stream.contracts import topics
from stream.contracts.codec import encode
from stream.contracts.events import Event
from stream.operations.brokers import make_producer
from stream.operations.demo_events import DemoEvents
from stream.operations.ingest import ingest
from stream.operations.loading import Options, Progress
from stream.operations.observe import AlertObserver, SeenAlert
from stream.operations.sources import Source
from stream.operations.stack import Stack
from stream.operations.watch import Watch

LIVE_RATE: Final = 400.0
"""Events a second in the live part: a shop with thirty-five million events a day."""
STILL_FOR: Final = 60.0
"""Seconds without any progress of the workers after which the demo gives up."""
LOOK_SECONDS: Final = 0.2


class DemoError(RuntimeError):
    """The workers came to a stop before everything was decided."""


class DemoProgress(msgspec.Struct):
    """How far the demo is, in records; the same object is updated all the time."""

    phase: str = "replaying"
    sent: int = 0
    total: int = 0
    folded: int = 0
    asked: int = 0
    decided: int = 0
    alerts: int = 0


class DemoRun(msgspec.Struct, frozen=True):
    """What can only be seen while it runs."""

    folding_seconds: float
    """From the first event of the history until all of them were folded and committed."""
    deciding_seconds: float
    """From the first event of the history until all that they led to was decided and committed."""
    replayed: list[SeenAlert]
    """Seen during the replay at full speed."""
    live: list[SeenAlert]
    """Seen at the pace of ``LIVE_RATE``."""


class Demo:
    """One run.

    Args:
        stack: started, with topics and workers.
        folder: for the files of events.
        on_progress: called with the same object all the time.
    """

    def __init__(
        self, stack: Stack, events: DemoEvents, folder: Path, on_progress: Callable[[DemoProgress], None]
    ) -> None:
        self._stack = stack
        self._events = events
        self._folder = folder
        self._on_progress = on_progress
        self.progress = DemoProgress(total=events.records)

    def run(self) -> DemoRun:
        """Send everything and return when all of it is decided.

        Raises:
            DemoError: nothing moves any more.
            StartError: a part died and cannot be started again.
        """
        configuration = self._stack.configuration
        with AlertObserver(configuration) as observer, Watch(configuration) as watch:
            started = time.monotonic()
            self._send("history", self._events.history, None)
            folding, deciding = self._await_idle(watch, observer, started)
            replayed = observer.seen()
            self._send_as_they_are()
            self.progress.phase = "live"
            self._send("live", self._events.live, LIVE_RATE)
            self._await_idle(watch, observer, started)
            live = observer.seen()[len(replayed) :]
        return DemoRun(folding, deciding, replayed, live)

    def _send(self, name: str, events: list[Event], rate: float | None) -> None:
        path = self._folder / f"{name}.jsonl"
        with path.open("wb") as file:
            file.writelines(encode(event) + b"\n" for event in events)
        before = self.progress.sent

        def show(load: Progress) -> None:
            self.progress.sent = before + load.sent
            self._on_progress(self.progress)

        ingest(self._stack.configuration, Source(str(path)), Options(rate=rate), show)

    def _send_as_they_are(self) -> None:
        """What `tidemark ingest` would not send: events for the second time, and records that are wrong on purpose."""
        topic = self._stack.configuration.topics.topic_names().physical(topics.EVENTS)
        producer = make_producer(self._stack.configuration.kafka)
        for event in self._events.duplicates:
            producer.produce(topic, key=event.subject.encode(), value=encode(event))
        for bad in self._events.bad:
            producer.produce(topic, key=bad.key, value=bad.value)
        producer.flush()
        self.progress.sent += len(self._events.duplicates) + len(self._events.bad)

    def _await_idle(self, watch: Watch, observer: AlertObserver, started: float) -> tuple[float, float]:
        """Seconds from ``started`` until the profiles, and until the decisions, had nothing left to do."""
        folding = 0.0
        moved_at, before = time.monotonic(), (-1, -1)
        while True:
            profiles, decisions = watch.look("profiles"), watch.look("decisions")
            now = time.monotonic()
            if profiles.idle and not folding:
                folding = now - started
            self.progress.folded, self.progress.asked = profiles.committed, decisions.end
            self.progress.decided, self.progress.alerts = decisions.committed, observer.transitions
            self._on_progress(self.progress)
            if profiles.idle and decisions.idle:
                return folding, now - started
            self._stack.restart_dead()
            if (profiles.committed, decisions.committed) != before:
                moved_at, before = now, (profiles.committed, decisions.committed)
            elif now - moved_at > STILL_FOR:
                raise DemoError(
                    f"nothing moved for {STILL_FOR:g} s: {profiles.committed:,} of {profiles.end:,} events are folded, "
                    f"{decisions.committed:,} of {decisions.end:,} requests decided"
                )
            time.sleep(LOOK_SECONDS)

"""Works on a replay until it is done or told to stop, one role after the other, and gives way to the live stream.

It can be killed at any moment: the sandbox's workers commit exactly once, and the record says which role is done.
Called by `tidemark replay`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.decisions.policy_history import PolicyHistory
from stream.engine.background import Background
from stream.engine.worker import Worker
from stream.operations.brokers import connect_admin, make_consumer, partitions_of, settled_ends
from stream.operations.replays.live_lag import LiveLag
from stream.operations.replays.record import Offsets, Replay, prefix_of, sandbox_of, write
from stream.workers.sandbox import Sandboxed, sandbox_decisions, sandbox_profiles
from stream.workers.score_log import ScoreLog
from stream.workers.watchdog import Watchdog

_TELL_S: Final = 0.25

Told = Callable[[str, int, int], None]
"""Learns what is being done (``events`` or ``questions``), how many records of it are done, and of how many."""


class Ran(NamedTuple):
    """How a run went."""

    replay: Replay
    seconds: float
    held_back_s: float
    """For how long it gave way to the live stream."""


class Run:
    """One run of a replay."""

    def __init__(self, live: Configuration, replay: Replay, told: Told) -> None:
        self._live = live
        self._replay = replay
        self._told = told
        self._sandbox = sandbox_of(live, replay)
        self._instance = f"replay-{replay.id}"
        self._worker: Worker[Any, Any] | None = None
        self._stopped = False

    def stop(self) -> None:
        """Commit what is done, and return from ``work``. A signal handler may call it."""
        self._stopped = True
        if self._worker is not None:
            self._worker.stop()

    def work(self) -> Ran:
        """Until all is done, or until ``stop``.

        Raises:
            InstanceTaken: somebody else works on it on this machine.
            UnknownVersion, UnusableVersion: the version that it asks cannot be used any more.
            StateLost, FoldChanged, WorkerFenced, ClusterUnreachable: as for a live worker.
        """
        began = time.monotonic()
        with LiveLag(self._live, self._hold_back) as lag:
            if self._replay.source == "events" and not self._replay.requests:
                self._fold()
            if not self._stopped:
                self._decide()
        return Ran(self._replay, time.monotonic() - began, lag.held_back_s)

    def _fold(self) -> None:
        replay = self._replay
        with sandbox_profiles(self._sandbox, self._instance, replay.until) as sandboxed:
            self._run(sandboxed, "events", replay.first, replay.until)
        if not self._stopped:
            own = self._sandbox.topics.topic_names().physical(topics.SCORE_REQUESTS)
            self._keep(msgspec.structs.replace(replay, requests=_ends(self._sandbox, own)))

    def _decide(self) -> None:
        replay, names = self._replay, self._live.topics.topic_names()
        own_requests = replay.source == "events"
        until = replay.requests if own_requests else replay.until
        scores = ScoreLog(
            client_properties(self._live.kafka),
            names.physical(topics.SCORES),
            replay.scores,
            "" if replay.recorded else replay.model,
        )
        again = prefix_of(self._live, replay.id) + topics.TOPICS[topics.SCORE_REQUESTS].base_name
        history = PolicyHistory(self._sandbox.policies, replay.changes)
        with sandbox_decisions(self._sandbox, self._instance, until, replay.model, scores, again, history) as sandboxed:
            self._run(sandboxed, "questions", dict.fromkeys(until, 0) if own_requests else replay.first, until)
            asked = 0 if sandboxed.recorded is None else sandboxed.recorded.asked
            fallback = 0 if sandboxed.scoring is None else sandboxed.scoring.fallback_answers
        done_at = 0 if self._stopped else int(time.time() * 1000)
        self._keep(
            msgspec.structs.replace(
                self._replay,
                done_at=done_at,
                asked=self._replay.asked + asked,
                fallback=self._replay.fallback + fallback,
            )
        )

    def _run(self, sandboxed: Sandboxed, what: str, first: Offsets, until: Offsets) -> None:
        worker = self._worker = sandboxed.worker
        if self._stopped:
            return
        with _Teller(worker.folded, what, first, until, self._told), Watchdog(lambda: worker.waits_for):
            worker.run()

    def _hold_back(self, yes: bool) -> None:
        if self._worker is not None:
            self._worker.held_back = yes

    def _keep(self, replay: Replay) -> None:
        write(self._live, replay)
        self._replay = replay


class _Teller(Background):
    """Tells how far a worker is, a few times a second."""

    def __init__(
        self, folded: Callable[[], Mapping[int, int]], what: str, first: Offsets, until: Offsets, told: Told
    ) -> None:
        super().__init__("tidemark-replay-progress")
        self._folded = folded
        self._what = what
        self._first = first
        self._until = until
        self._told = told
        self._total = sum(max(end - first.get(number, 0), 0) for number, end in until.items())

    def _run(self) -> None:
        while not self._ended.wait(_TELL_S):
            self._tell(self._folded())
        self._tell(self._folded() or self._until)

    def _tell(self, reached: Mapping[int, int]) -> None:
        done = sum(
            max(min(offset, self._until.get(number, 0)) - self._first.get(number, 0), 0)
            for number, offset in reached.items()
        )
        self._told(self._what, done, self._total)


def _ends(configuration: Configuration, topic: str) -> Offsets:
    consumer = make_consumer(configuration.kafka, "tidemark.replays")
    try:
        places = partitions_of(consumer, [topic])
        return {number: end for (_, number), end in settled_ends(connect_admin(configuration.kafka), places).items()}
    finally:
        consumer.close()

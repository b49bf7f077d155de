"""One subscription at work: reads alerts, sends each customer's in order, and commits what is done with.

Everything here runs on one thread, which belongs to Kafka; attempts run in ``posting.py``. What is decided, and when,
is said by the pure modules beside this one. Called by ``subscribe.py``.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog
from confluent_kafka import Message

from stream.contracts.undelivered import Code
from stream.operations.subscriptions.backoff import Backoff
from stream.operations.subscriptions.endpoint import Endpoint, EndpointRefuses
from stream.operations.subscriptions.intake import Intake, Start
from stream.operations.subscriptions.lanes import Lanes
from stream.operations.subscriptions.letters import Letters
from stream.operations.subscriptions.metrics import SubscriptionMetrics
from stream.operations.subscriptions.offsets import Frontier
from stream.operations.subscriptions.outcomes import Delivery, Outcome
from stream.operations.subscriptions.posting import Posting
from stream.operations.subscriptions.wanted import Skipped, Unreadable
from stream.workers.erased_reader import ErasuresReader

FIRST_WAIT_S: Final = 1.0
HELD_MOST: Final = 10_000
"""Deliveries in memory before nothing more is read; and their bodies' bytes:"""
HELD_BYTES_MOST: Final = 64 * 1024 * 1024
LANE_FULL: Final = 100
"""Deliveries behind a failing one before it is given up at its next failure that counts."""
TOLD_AFTER: Final = 3
"""Probes that fail before the log says that the endpoint is down: one that fails often fails five customers in a row
now and then."""
COMMIT_S: Final = 1.0
_POLL_S: Final = 0.1
_ANSWER_S: Final = 0.01

_log = structlog.get_logger(__name__)


class Judge(Protocol):
    """Says which records are delivered; see ``wanted.py``."""

    def __call__(self, message: Message) -> Delivery | Skipped: ...


class Subscription:
    """One process of a subscription.

    Args:
        judge: raises ``Unreadable`` for what is given up unsent.
        forget: is told which partitions are no longer ours.
        erased: knows the erasures; what is older than its customer's is not sent.
        parallel: attempts under way at once.
        drain_s: how long attempts under way may take to end when it stops, seconds.
        attempts: failures that count before a delivery is given up.
        longest_wait_s: between two attempts at a delivery, seconds.
    """

    def __init__(
        self,
        *,
        judge: Judge,
        forget: Callable[[set[int]], None],
        posting: Posting,
        letters: Letters,
        erased: ErasuresReader,
        metrics: SubscriptionMetrics,
        parallel: int,
        drain_s: float,
        attempts: int,
        longest_wait_s: float,
    ) -> None:
        self._judge = judge
        self._forget = forget
        self._posting = posting
        self._letters = letters
        self._erased = erased
        self._erasures = erased.erasures
        self._erasures_seen = 0
        self._metrics = metrics
        self._parallel = parallel
        self._drain_s = drain_s
        self._backoff = Backoff(FIRST_WAIT_S, longest_wait_s)
        self._chance = random.random
        self._endpoint = Endpoint(attempts, self._chance)
        self._lanes = Lanes()
        self._frontiers: dict[int, Frontier] = {}
        self._committed: dict[int, int] = {}
        self._was_assigned = False
        self._stopping = False
        self._failure: EndpointRefuses | None = None
        self._keep_at = 0.0
        self.ends: Counter[str] = Counter()
        """What was done with, by how it ended."""

    def run(self, intake: Intake, start: Start | None, name: str, *, once: bool) -> None:
        """Deliver until ``stop``, or until all is done with that is committed now.

        Raises:
            EndpointRefuses: it is gone, refuses everybody, or lies where nothing may be sent.
            NoPosition, AlertsLost: see ``intake.py``.
        """
        self._intake = intake
        intake.begin(start, name)
        ends = intake.ends() if once else None
        try:
            while not self._stopping and not (ends is not None and self._is_past(ends)):
                self._read()
                self._settle_answers()
                self._send()
                self._keep()
        finally:
            self._let_go(set(self._frontiers))
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Begin nothing more; attempts under way come to their end."""
        self._stopping = True

    def assigned(self, positions: Mapping[int, int]) -> None:
        """Partitions that are ours from now on, all of them, with the offsets to go on at."""
        self._was_assigned = True
        self._frontiers = {partition: Frontier(offset) for partition, offset in positions.items()}
        self._committed = dict(positions)

    def revoked(self, partitions: set[int]) -> None:
        """Partitions that another process goes on with."""
        self._let_go(partitions)

    def lost(self, partitions: set[int]) -> None:
        """Partitions that another process has gone on with already."""
        self._drop(partitions)

    def _read(self) -> None:
        now = time.monotonic()
        due = self._lanes.next_due()
        wait_s = _POLL_S if due is None else min(_POLL_S, max(due - now, self._endpoint.quiet_s(now), 0.0))
        for message in self._intake.read(0.0 if self._lanes.under_way() else wait_s):
            frontier = self._frontiers[message.partition() or 0]
            offset = message.offset() or 0
            if message.error() is not None:
                frontier.reach(offset)
            else:
                self._take_in(message, frontier, offset)

    def _take_in(self, message: Message, frontier: Frontier, offset: int) -> None:
        try:
            found = self._judge(message)
        except Unreadable as error:
            partition, key, value = message.partition() or 0, message.key(), message.value()
            self._letters.write("unreadable", str(error), 0, partition=partition, offset=offset, key=key, value=value)
            self._ended("unreadable")
            _log.warning("not delivered", code="unreadable", partition=partition, offset=offset, why=str(error))
            frontier.reach(offset + 1)
            return
        if isinstance(found, Skipped):
            if found.reason == "holdout":
                _log.error("an alert of the control group is on the alerts topic: not delivered", offset=offset)
            self._ended("skipped")
            frontier.reach(offset + 1)
            return
        frontier.begin(offset)
        self._endpoint.meets(found)
        self._lanes.add(found, time.monotonic())

    def _settle_answers(self) -> None:
        while (answer := self._posting.answer(_ANSWER_S if self._lanes.under_way() else 0.0)) is not None:
            delivery, outcome = answer
            if isinstance(outcome, Exception):
                raise outcome
            if not self._lanes.holds(delivery):
                continue
            if outcome.verdict == "taken":
                if probes := self._endpoint.took():
                    self._lanes.hasten(time.monotonic())
                if probes >= TOLD_AFTER:
                    _log.info("the endpoint is back")
                self._end(delivery, "delivered")
            elif outcome.verdict == "again":
                self._failed(delivery, outcome.detail, outcome.wait_s)
            elif outcome.verdict == "refused":
                self._endpoint.refused(delivery)
                self._give_up(delivery, "refused", outcome.detail)
                if self._endpoint.refuses_all:
                    self._fail(outcome)
            else:
                self._lanes.retry(delivery, time.monotonic())
                self._fail(outcome)

    def _failed(self, delivery: Delivery, detail: str, wait_s: float | None) -> None:
        now = time.monotonic()
        self._endpoint.failed(delivery, now, wait_s)
        self._metrics.failures.inc()
        if self._endpoint.probes == TOLD_AFTER:
            _log.warning("the endpoint takes nothing: waiting for it", last=detail)
        if self._endpoint.gives_up(delivery, crowded=self._lanes.behind(delivery) >= LANE_FULL):
            self._give_up(delivery, "exhausted", detail)
            return
        self._lanes.retry(delivery, now + self._backoff.wait_s(delivery.tries, self._chance))

    def _give_up(self, delivery: Delivery, code: Code, detail: str) -> None:
        self._letters.write(
            code,
            detail,
            delivery.tries,
            partition=delivery.partition,
            offset=delivery.offset,
            key=delivery.key,
            value=delivery.body,
        )
        _log.warning("not delivered", code=code, id=delivery.id, tries=delivery.tries, last=detail)
        self._end(delivery, code)

    def _end(self, delivery: Delivery, end: str) -> None:
        self._lanes.end(delivery, time.monotonic())
        self._frontiers[delivery.partition].finish(delivery.offset)
        self._ended(end)

    def _ended(self, end: str) -> None:
        self.ends[end] += 1
        self._metrics.ended(end)

    def _fail(self, last: Outcome) -> None:
        self._failure = self._failure or EndpointRefuses(last)
        self._stopping = True

    def _send(self) -> None:
        now = time.monotonic()
        if self._endpoint.is_quiet(now) or self._stopping:
            return
        down = self._endpoint.is_down
        room = (1 if down else self._parallel) - self._lanes.under_way()
        for delivery in self._lanes.take(now, room, fresh_first=down):
            if self._is_void(delivery):
                self._end(delivery, "erased")
                continue
            delivery.tries += 1
            self._posting.start(delivery)

    def _is_void(self, delivery: Delivery) -> bool:
        """Whether its customer was erased after what it was made from."""
        evidence = delivery.evidence
        return evidence is not None and self._erasures.before(delivery.key, evidence.partition, evidence.last_offset)

    def _keep(self) -> None:
        if (count := self._erasures.count) != self._erasures_seen:
            self._erasures_seen = count
            for delivery in self._lanes.drop(self._is_void, time.monotonic()):
                self._frontiers[delivery.partition].finish(delivery.offset)
                self._ended("erased")
        full = self._lanes.held >= HELD_MOST or self._lanes.held_bytes >= HELD_BYTES_MOST
        self._intake.hold(full)
        now = time.monotonic()
        if now >= self._keep_at:
            self._keep_at = now + COMMIT_S
            self._erased.check()
            self._commit()
            self._metrics.waiting.set(self._lanes.held)
            self._metrics.down.set(self._endpoint.is_down)

    def _commit(self) -> None:
        moved = {
            partition: frontier.committable
            for partition, frontier in self._frontiers.items()
            if frontier.committable > self._committed[partition]
        }
        if moved:
            self._letters.settle()
            self._intake.commit(moved)
            self._committed |= moved

    def _let_go(self, partitions: set[int]) -> None:
        """Wait for what is under way, commit, and forget the partitions."""
        give_up = time.monotonic() + self._drain_s
        while self._lanes.under_way(partitions) and time.monotonic() < give_up:
            self._settle_answers()
        self._commit()
        self._drop(partitions)

    def _drop(self, partitions: set[int]) -> None:
        self._lanes.forget(partitions)
        self._forget(partitions)
        for partition in partitions:
            self._frontiers.pop(partition, None)

    def _is_past(self, ends: Mapping[int, int]) -> bool:
        mine = self._frontiers.items()
        return self._was_assigned and not self._lanes.held and all(one.position >= ends[at] for at, one in mine)

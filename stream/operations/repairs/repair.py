"""The course of a repair: the replay catches up, the live deployment rests, what differs is written, and is looked at
again.

It can be killed at any moment and given again: what is written makes no difference any more. Called by `tidemark
repair`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from confluent_kafka import Producer

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.alerts import Correction
from stream.operations.brokers import connect_admin, make_consumer, partitions_of, settled_ends
from stream.operations.ends import newest_records
from stream.operations.repairs.hold import Hold, RepairRefused, await_no_worker, committed, open_producer
from stream.operations.repairs.plan import PartitionPlan, Plan, correction_of, plan
from stream.operations.replays.record import Replay, read, sandbox_of, write
from stream.operations.replays.run import Run
from stream.workers import decisions, profiles

Told = Callable[[str], None]
"""Learns what is being done, in words."""

_GROUP: Final = "tidemark.repair"
_DRAINED_S: Final = 600.0
_LOOK_S: Final = 0.2


class Repaired(NamedTuple):
    """What a repair has changed."""

    counts: Counter[str]
    """As in ``plan.Plan``."""
    left_out: int
    left: int
    """Customers or partitions that differ still: what came between, and the same command again puts right."""


class Repair:
    """One repair.

    Args:
        run: makes the run that lets the replay catch up; whoever stops that stops the repair.
    """

    def __init__(
        self, live: Configuration, name: str, reason: str, told: Told, run: Callable[[Replay], Run], wait_s: float
    ) -> None:
        self._live = live
        self._name = name
        self._reason = reason
        self._told = told
        self._run = run
        self._wait_s = wait_s
        self._names = live.topics.topic_names()

    def work(self) -> Repaired:
        """Put right what the replay says otherwise.

        Raises:
            RepairRefused: workers of the role `profiles` are there, or the replay cannot put this deployment right.
            UnknownReplay: there is none of that name.
            MissingTopicError, KafkaUnreachableError, AccessError: Kafka cannot say, or refuses.
        """
        replay = read(self._live, self._name)
        refuse_unfit(replay)
        count = len(replay.until)
        producer = open_producer(self._live)
        self._told("waiting for the workers of role profiles to be gone")
        await_no_worker(self._live, profiles.ROLE, self._wait_s)
        self._told("waiting for the decisions to be through with what was asked")
        self._drained(count)
        replay = self._caught_up(replay, count)
        self._told("looking for what differs")
        correction = correction_of(replay.id, self._reason, int(time.time() * 1000))
        with Hold(self._live, producer, profiles.ROLE, count, self._wait_s) as hold:
            found = self._plan(replay, count, correction)
            for each in found.partitions:
                if each.changes:
                    self._told(f"partition {each.partition}: {len(each.requests):,} customers")
                    hold.write(each)
        self._told("waiting for the decisions to publish it")
        self._drained(count)
        left = self._plan(replay, count, correction)
        changed = sum(each.changes for each in left.partitions)
        if not changed and any(each.decided for each in left.partitions):
            self._rename(producer, left, count)
        return Repaired(found.counts, found.left_out, changed)

    def _rename(self, producer: Producer, left: Plan, count: int) -> None:
        """The decisions' states are those of the other fold by now: say so beside them."""
        self._told("waiting for the workers of role decisions to be stopped: their fold has changed too")
        with Hold(self._live, producer, decisions.ROLE, count, self._wait_s) as hold:
            for each in left.partitions:
                if each.decided is not None:
                    hold.write(PartitionPlan(each.partition, each.decided, {}, []))

    def _plan(self, replay: Replay, count: int, correction: Correction) -> Plan:
        return plan(self._live, sandbox_of(self._live, replay), count, correction)

    def _caught_up(self, replay: Replay, count: int) -> Replay:
        """The replay, done up to where the live profiles are."""
        places = committed(
            client_properties(self._live.kafka),
            self._names.group(profiles.ROLE),
            self._names.physical(topics.EVENTS),
            count,
        )
        until = {number: max(place.offset, replay.until[number]) for number, place in places.items()}
        if until == replay.until and replay.done_at:
            return replay
        self._told("letting the replay catch up")
        consumer = make_consumer(self._live.kafka, _GROUP)
        try:
            scores = partitions_of(consumer, [self._names.physical(topics.SCORES)])
            ends = {number: end for (_, number), end in settled_ends(connect_admin(self._live.kafka), scores).items()}
        finally:
            consumer.close()
        further = msgspec.structs.replace(replay, until=until, scores=ends, requests={}, done_at=0)
        write(self._live, further)
        done = self._run(further).work().replay
        if not done.done_at:
            raise RepairRefused("stopped before anything was changed: run it again")
        return done

    def _drained(self, count: int) -> None:
        """Until the decisions have folded every request."""
        requests, group = self._names.physical(topics.SCORE_REQUESTS), self._names.group(decisions.ROLE)
        consumer = make_consumer(self._live.kafka, _GROUP, **{"enable.partition.eof": True, "fetch.wait.max.ms": 20})
        give_up = time.monotonic() + _DRAINED_S
        try:
            while True:
                newest = newest_records(consumer, requests)
                done = committed(client_properties(self._live.kafka), group, requests, count)
                if all(done[number].offset > (message.offset() or 0) for number, message in newest.items()):
                    return
                if time.monotonic() > give_up:
                    raise RepairRefused(
                        "the decisions do not get through with what was asked: let their workers run; "
                        "`tidemark status` says how far they are"
                    )
                time.sleep(_LOOK_S)
        finally:
            consumer.close()


def refuse_unfit(replay: Replay) -> None:
    """Refuse a replay that says something else than what this deployment should have said.

    Raises:
        RepairRefused: and why.
    """
    why = ""
    if replay.source != "events":
        why = "it was made from the questions, which hold what the profiles were then"
    elif replay.policies is not None:
        why = "it was made with other policies"
    elif not replay.recorded:
        why = f"it was made with the answers of version {replay.model} alone"
    elif replay.customer:
        why = "it was made for one customer"
    elif any(replay.first.values()):
        why = "the log had lost its beginning, so its states lack what the live ones know"
    elif any(replay.since.values()):
        why = "it counts from a moment on (--from): what was said before it would stay"
    if why:
        raise RepairRefused(f"replay {replay.id} cannot put the live deployment right: {why}; make one without")

"""How far the live workers are behind, looked at twice a second, so that a replay gives way to them.

Kafka alone is asked. Live workers that do not get on at all are none that a replay could help by waiting. Called by
``run``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog
from confluent_kafka import KafkaException, TopicPartition

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.engine.background import Background
from stream.engine.group_offsets import GroupOffsets
from stream.operations.brokers import connect_admin, ends_of, make_consumer, partitions_of
from stream.operations.status import INPUTS, commits_of
from stream.operations.watch import MARKERS

GIVE_WAY_S: Final = 1.0
"""A replay holds back while the live stream is this far behind."""

_LOOK_S: Final = 0.5
_GETS_ON_S: Final = 5.0
"""Workers that have committed nothing for so long are not there."""

_log = structlog.get_logger(__name__)

Ends = dict[int, int]


class Lag:
    """How long one role has been behind, from looks at its commits and its input's ends. Times in seconds."""

    def __init__(self) -> None:
        self._ends: deque[tuple[float, Ends]] = deque()
        self._committed: Ends = {}
        self._moved = float("-inf")

    def look(self, now: float, committed: Ends, ends: Ends) -> float:
        """Seconds for which the oldest record that is not committed has been there, as far as was seen; 0 where all
        are, or where nothing is committed at all any more."""
        if committed != self._committed:
            self._committed, self._moved = committed, now
        self._ends.append((now, ends))
        while self._ends and all(committed.get(n, 0) + MARKERS >= end for n, end in self._ends[0][1].items()):
            self._ends.popleft()
        if not self._ends or now - self._moved > _GETS_ON_S:
            return 0.0
        return now - self._ends[0][0]


class _Role(NamedTuple):
    lag: Lag
    offsets: GroupOffsets
    places: list[TopicPartition]


class LiveLag(Background):
    """Looks for the length of a ``with`` block.

    Args:
        hold_back: told whether the live stream is behind, at every look.

    Attributes:
        held_back_s: seconds for which it was.
    """

    def __init__(self, live: Configuration, hold_back: Callable[[bool], None]) -> None:
        super().__init__("tidemark-live-lag")
        self.held_back_s = 0.0
        self._hold_back = hold_back
        self._admin = connect_admin(live.kafka)
        names, kafka = live.topics.topic_names(), client_properties(live.kafka)
        consumer = make_consumer(live.kafka, "tidemark.live-lag")
        try:
            self._roles = [
                _Role(
                    Lag(),
                    GroupOffsets(kafka, names.group(role), stable=False),
                    partitions_of(consumer, [names.physical(topic)]),
                )
                for role, topic in INPUTS.items()
            ]
        finally:
            consumer.close()

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_S):
            try:
                behind = max(self._look(role) for role in self._roles) > GIVE_WAY_S
            except KafkaException as error:
                # Nobody can be waited for then, and a replay that needs Kafka as well will say so itself.
                _log.info("live lag is not known", error=str(error))
                behind = False
            self.held_back_s += _LOOK_S if behind else 0.0
            self._hold_back(behind)
        self._hold_back(False)

    def _look(self, role: _Role) -> float:
        committed = {number: place.offset for number, place in commits_of(role.offsets, role.places).items()}
        ends = {number: end for (_, number), end in ends_of(self._admin, role.places, committed=True).items()}
        return role.lag.look(time.monotonic(), committed, ends)

"""Takes the time from an event's append to the moment at which a subscriber holds the alert that it led to.

A thread of its own reads the events and the alerts as any subscriber would (committed records alone) and notes when
what came. Called by the demo; a benchmark can use it as well.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Final, NamedTuple

from confluent_kafka import TopicPartition

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.codec import decode_alert_event
from stream.engine.background import Background
from stream.operations.brokers import bounds_of, make_consumer, partitions_of

_POLL_SECONDS: Final = 0.05


class SeenAlert(NamedTuple):
    """A transition of an alert as a subscriber saw it. Times in epoch milliseconds of this machine's clock."""

    status: str
    appended_at: int
    """When the broker appended the event that led to it."""
    polled_at: int
    """When the poll returned that brought it."""
    reasons_method: str = "rule"
    """How its reasons were found."""

    @property
    def latency_ms(self) -> int:
        return self.polled_at - self.appended_at


class AlertObserver(Background):
    """Watches from the moment of its start on, in a thread, for as long as its block runs."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__("observer")
        names = configuration.topics.topic_names()
        self._events = names.physical(topics.EVENTS)
        alerts = [names.physical(topics.ALERTS), names.physical(topics.ALERTS_HOLDOUT)]
        self._consumer = make_consumer(configuration.kafka, "tidemark.observer", **{"fetch.wait.max.ms": 10})
        starts = []
        for place in partitions_of(self._consumer, [self._events, *alerts]):
            _, high = bounds_of(self._consumer, place)
            starts.append(TopicPartition(place.topic, place.partition, high))
        self._consumer.assign(starts)
        self._appended: dict[tuple[int, int], int] = {}
        self._alerts: list[tuple[int, bytes]] = []

    @property
    def transitions(self) -> int:
        """Transitions of alerts seen so far."""
        return len(self._alerts)

    def seen(self) -> list[SeenAlert]:
        """What was seen, in order. Left out are transitions of which the event came before the start, and those that
        time alone brought about: the evidence of an expiry is that of the alert which expires."""
        found = []
        for polled_at, value in self._alerts:
            alert = decode_alert_event(value).data
            appended_at = self._appended.get((alert.evidence.partition, alert.evidence.last_offset))
            if appended_at is not None and alert.status != "expired":
                found.append(SeenAlert(alert.status, appended_at, polled_at, alert.reasons_method))
        return found

    def _run(self) -> None:
        while not self._ended.is_set():
            # One at a time: to take many at once waits its whole time-out unless all of them come.
            message = self._consumer.poll(_POLL_SECONDS)
            if message is None or message.error() is not None:
                continue
            if message.topic() == self._events:
                self._appended[message.partition() or 0, message.offset() or 0] = message.timestamp()[1]
            else:
                self._alerts.append((time.time_ns() // 1_000_000, message.value() or b""))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._consumer.close()


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least ``share`` of ``values`` do not exceed (nearest rank).

    Raises:
        ValueError: without values.
    """
    ranked = sorted(values)
    if not ranked:
        raise ValueError("there is no percentile of nothing")
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]

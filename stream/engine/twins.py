"""Tells a twin, another live worker with the same instance name, from a client that was fenced once.

Kafka fences by name: a producer by its transactional id, a consumer by ``group.instance.id``. A worker that was frozen
is fenced once, and librdkafka was seen to fence itself when a coordinator comes back after the session time-out: it
joins as a new member while a heartbeat of its old one is still on its way (its issue 3437). Both recover. Twins fence
each other in turn, so that each is fenced again and again. Asked by the worker.
"""

import time
from collections import deque
from typing import Final

_PRODUCERS: Final = 5
_CONSUMERS: Final = 3
"""Fencings within ``_WITHIN_S`` that only a twin explains."""
_WITHIN_S: Final = 60.0


class WorkerFenced(RuntimeError):
    """Another live worker has this worker's instance name."""


class Twins:
    """Counts how often this worker was fenced."""

    def __init__(self, role: str, instance: str) -> None:
        self._role = role
        self._instance = instance
        self._producers: deque[float] = deque(maxlen=_PRODUCERS)
        self._consumers: deque[float] = deque(maxlen=_CONSUMERS)

    def producer_fenced(self) -> None:
        """The producer was lost. Raises ``WorkerFenced`` when a twin is to blame."""
        self._note(self._producers)

    def consumer_fenced(self) -> None:
        """The consumer was fenced. Raises ``WorkerFenced`` when a twin is to blame."""
        self._note(self._consumers)

    def _note(self, moments: deque[float]) -> None:
        moments.append(time.monotonic())
        if len(moments) == moments.maxlen and moments[-1] - moments[0] < _WITHIN_S:
            raise WorkerFenced(
                f"another worker of role {self._role} runs as instance {self._instance!r} and takes over again and "
                "again: give each worker its own --instance"
            )

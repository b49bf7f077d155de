"""Whether a worker that was fenced has a twin, another live worker under its instance name, or only met its own past.

A consumer whose session ran out while its thread waited for Kafka goes on with heartbeats, now without a member id,
until it is polled again. The broker takes them for another member's and fences the instance (librdkafka's issue 3437).
Nobody has taken over then, and a new client goes on. So it does where the group knows the name by a member of its own
whose answer was lost: nobody is that member, and joining takes its place. Called by ``stream.engine.worker``.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException

from stream.engine.clients import Properties, error_of, make_admin

_LOSSES: Final = 5
_WITHIN_S: Final = 60.0
"""A producer that is fenced this often within this time has a twin: two workers with one name fence each other in
turn."""

_TAKEN_OVER: Final = 2
"""A name that others hold this often within that time is a twin's: it has taken back what was taken from it."""

_TIMEOUT_S: Final = 5.0
_PAUSE_S: Final = 0.2


class WorkerFenced(RuntimeError):
    """Another live worker has this worker's instance name."""


class Fencing:
    """Remembers who a worker is in its group, and how often its producer was fenced.

    Args:
        kafka: common client properties.
        role: of the worker, for messages.
        group, instance: consumer group, and the worker's name in it.
        keep_trying: asked before the cluster is asked again.
    """

    def __init__(
        self, kafka: Properties, role: str, group: str, instance: str, keep_trying: Callable[[], bool]
    ) -> None:
        self._kafka = kafka
        self._role = role
        self._group = group
        self._instance = instance
        self._keep_trying = keep_trying
        self._member_ids: set[str] = set()
        self._losses: deque[float] = deque(maxlen=_LOSSES)
        self._taken_over: deque[float] = deque(maxlen=_TAKEN_OVER)

    def joined(self, consumer: Consumer) -> None:
        """The group has given partitions to ``consumer``, under the member id that it has now."""
        self._member_ids.add(consumer.memberid() or "")

    def producer_lost(self) -> None:
        """The producer was fenced. Raises ``WorkerFenced`` where that happens again and again."""
        if _again(self._losses):
            raise self.error()

    def consumer_fenced(self) -> None:
        """The consumer was fenced. Raises ``WorkerFenced`` where the group knows the name by a stranger, again."""
        holder = self._holder()
        if holder and holder not in self._member_ids and _again(self._taken_over):
            raise self.error()

    def error(self) -> WorkerFenced:
        return WorkerFenced(
            f"another worker of role {self._role} runs as instance {self._instance!r} and has taken over: give each "
            "worker its own --instance"
        )

    def _holder(self) -> str:
        """The member id under which the group knows the instance; empty where it knows none."""
        # A new one: what has seen a broker before its death may ask in vain.
        admin = make_admin(self._kafka)
        while True:
            try:
                described = admin.describe_consumer_groups([self._group], request_timeout=_TIMEOUT_S)
                members = described[self._group].result().members
                return next((each.member_id for each in members if each.group_instance_id == self._instance), "")
            except KafkaException as exception:
                if error_of(exception).code() == KafkaError.GROUP_ID_NOT_FOUND:
                    return ""
                if not self._keep_trying():
                    raise self.error() from exception
            time.sleep(_PAUSE_S)


def _again(moments: deque[float]) -> bool:
    """Notes that something happened now. True: as often as the deque holds, within ``_WITHIN_S``."""
    moments.append(time.monotonic())
    return len(moments) == moments.maxlen and moments[-1] - moments[0] < _WITHIN_S

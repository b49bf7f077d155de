"""Whether a consumer that hears nothing has a topic without news, or has lost its brokers for good.

A broker that was frozen, or cut off from its controller, answers for a moment that the cluster has no brokers.
librdkafka takes that at its word, forgets all of them, the bootstrap servers too, and never asks anybody again (its
issue 5301, open in 2.15). Only another client helps. Asked by ``stream.engine.intake``, ``stream.engine.restore`` and
``stream.workers.follower``, each for its own consumer.
"""

import time
from typing import Final

from confluent_kafka import Consumer, KafkaException

from stream.engine.clients import Properties, make_admin

_QUIET_S: Final = 10.0
"""So long without a word before the consumer is asked whether it still knows a broker."""
_TIMEOUT_S: Final = 2.0
_LOOKS: Final = 2
"""In a row that find this consumer without a broker where another client has one: once may be chance."""


class ConsumerLost(RuntimeError):
    """The consumer has lost its brokers, and they are there."""


class Contact:
    """Of one consumer.

    Args:
        kafka: common client properties, for the other client.
        topic: that the consumer reads.
    """

    def __init__(self, kafka: Properties, topic: str, quiet_s: float = _QUIET_S) -> None:
        self._kafka = kafka
        self._topic = topic
        self._quiet_s = quiet_s
        self._look_at = time.monotonic() + quiet_s
        self._failed = 0

    def heard(self) -> None:
        """Something came: no question needed for a while."""
        self._look_at = time.monotonic() + self._quiet_s
        self._failed = 0

    def look(self, consumer: Consumer) -> None:
        """Called while nothing comes. Waits for an answer at most, and only where it was quiet for long.

        Raises:
            ConsumerLost: only another consumer helps.
        """
        if time.monotonic() < self._look_at:
            return
        try:
            known = bool(consumer.list_topics(self._topic, timeout=_TIMEOUT_S).brokers)
        except KafkaException:
            known = False
        if known or not self._reachable():
            self.heard()
            return
        self._failed += 1
        self._look_at = time.monotonic() + self._quiet_s
        if self._failed >= _LOOKS:
            raise ConsumerLost(f"the consumer of {self._topic} knows no broker any more, and the cluster has some")

    def _reachable(self) -> bool:
        """Whether a client that has no past finds a broker."""
        try:
            return bool(make_admin(self._kafka).list_topics(self._topic, timeout=_TIMEOUT_S).brokers)
        except KafkaException:
            return False

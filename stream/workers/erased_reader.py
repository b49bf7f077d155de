"""The erasures as they come: a thread that follows ``customer.erasures.v1`` from its beginning.

For whoever holds something of customers while they may be erased. A fold of the log needs no more than what
``erased.py`` reads once: what is erased later lies ahead of it.
"""

import threading
from typing import Final

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, TopicPartition

from stream.contracts import topics
from stream.contracts.codec import decode_erasure
from stream.contracts.topics import TopicNames
from stream.engine.clients import Properties
from stream.workers.erased import Erasures, Remembered, id_of_events
from stream.workers.follower import Follower

_POLL_S: Final = 0.2
_LOAD_TIMEOUT_S: Final = 30.0

_log = structlog.get_logger(__name__)


class ErasuresReader(Follower):
    """Follows the erasures of one role.

    Args:
        kafka: client properties.
        secret: of the deployment.

    Attributes:
        erasures: those so far; the same object, which grows.
    """

    def __init__(self, kafka: Properties, names: TopicNames, secret: str, role: str) -> None:
        super().__init__("erasures", kafka, {"fetch.wait.max.ms": 100}, names.physical(topics.ERASURES))
        self.erasures = Erasures(secret.encode(), role, id_of_events(kafka, names))
        self._loaded = threading.Event()
        self._failure: Exception | None = None

    def start(self) -> None:
        """Begin, and wait until every erasure so far is known.

        Raises:
            TimeoutError: that took more than half a minute.
            KafkaException: the topic cannot be read.
        """
        super().start()
        if not self._loaded.wait(_LOAD_TIMEOUT_S):
            raise TimeoutError(f"topic {self._topic} could not be read within {_LOAD_TIMEOUT_S:.0f} s")
        self.check()

    def check(self) -> None:
        """See that it still follows.

        Raises:
            Exception: what ended it; who was erased since is not known.
        """
        if self._failure is not None:
            raise self._failure

    def _starts(self, consumer: Consumer) -> list[TopicPartition]:
        return [TopicPartition(self._topic, 0, 0)]

    def _step(self, consumer: Consumer) -> None:
        message = consumer.poll(_POLL_S)
        if message is None:
            return
        error = message.error()
        if error is None:
            value = message.value()
            if value is not None:
                self._take(message.key() or b"", value, message.timestamp()[1])
        elif error.code() == KafkaError._PARTITION_EOF:
            self._loaded.set()

    def _take(self, key: bytes, value: bytes, written_at: int) -> None:
        try:
            self.erasures.add(Remembered(key, decode_erasure(value), written_at))
        except msgspec.DecodeError as error:
            _log.error("not an erasure", topic=self._topic, error=str(error))

    def _failed(self, error: Exception) -> None:
        self._failure = error
        self._loaded.set()
        _log.error("erasures cannot be followed", topic=self._topic, error=str(error))

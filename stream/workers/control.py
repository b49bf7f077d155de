"""What operators say to running workers: a thread that follows ``tidemark.control.v1`` from the worker's start on.

So far one kind is obeyed while running: ``resume``. Built by ``stream.workers.process``.
"""

from collections.abc import Callable
from typing import Final

import msgspec
import structlog
from confluent_kafka import Consumer, TopicPartition

from stream.contracts.codec import decode_control
from stream.contracts.control import EVERY_ROLE
from stream.engine.clients import Properties
from stream.workers.follower import Follower

_POLL_S: Final = 0.2
_TIMEOUT_S: Final = 10.0

_log = structlog.get_logger(__name__)


class ControlReader(Follower):
    """Follows the control topic.

    Args:
        kafka: client properties.
        topic: physical name; it has one partition.
        role: of this worker; what is said to another role is not obeyed.
        on_resume: called on the reader's thread.
    """

    def __init__(self, kafka: Properties, topic: str, role: str, on_resume: Callable[[], None]) -> None:
        super().__init__("control", kafka, {"fetch.wait.max.ms": 500}, topic)
        self._role = role
        self._on_resume = on_resume

    def __enter__(self) -> "ControlReader":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _starts(self, consumer: Consumer) -> list[TopicPartition]:
        partition = TopicPartition(self._topic, 0)
        _, partition.offset = consumer.get_watermark_offsets(partition, timeout=_TIMEOUT_S)
        return [partition]

    def _step(self, consumer: Consumer) -> None:
        message = consumer.poll(_POLL_S)
        if message is not None and message.error() is None:
            self._obey(message.value() or b"")

    def _failed(self, error: Exception) -> None:
        # A worker that cannot be spoken to still folds; it is told so, and a restart lets partitions go on as well.
        _log.error("control topic cannot be followed", topic=self._topic, error=str(error))

    def _obey(self, value: bytes) -> None:
        try:
            control = decode_control(value)
        except msgspec.DecodeError as error:
            _log.warning("not a control record", error=str(error))
            return
        if control.kind == "resume" and control.version in (self._role, EVERY_ROLE):
            self._on_resume()

"""What operators say to running workers: a thread that follows ``tidemark.control.v1`` from the worker's start on.

So far one kind is obeyed while running: ``resume``. Built by ``stream.workers.process``.
"""

import threading
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
from confluent_kafka import Consumer, TopicPartition

from stream.contracts.codec import decode_control
from stream.contracts.control import EVERY_ROLE
from stream.engine.clients import Properties

_POLL_S: Final = 0.2
_TIMEOUT_S: Final = 10.0

_log = structlog.get_logger(__name__)


class ControlReader:
    """Follows the control topic.

    Args:
        kafka: client properties.
        topic: physical name; it has one partition.
        role: of this worker; what is said to another role is not obeyed.
        on_resume: called on the reader's thread.
    """

    def __init__(self, kafka: Properties, topic: str, role: str, on_resume: Callable[[], None]) -> None:
        self._kafka = kafka
        self._topic = topic
        self._role = role
        self._on_resume = on_resume
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="tidemark-control", daemon=True)

    def __enter__(self) -> "ControlReader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(timeout=_TIMEOUT_S)

    def _follow(self) -> None:
        consumer = Consumer(
            {
                "fetch.wait.max.ms": 500,
                **self._kafka,
                "group.id": "tidemark.control",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
            }
        )
        try:
            partition = TopicPartition(self._topic, 0)
            _, end = consumer.get_watermark_offsets(partition, timeout=_TIMEOUT_S)
            partition.offset = end
            consumer.assign([partition])
            while not self._stopping.is_set():
                message = consumer.poll(_POLL_S)
                if message is not None and message.error() is None:
                    self._obey(message.value() or b"")
        except Exception as error:
            # A worker that cannot be spoken to still folds; it is told so, and a restart lets partitions go on as well.
            _log.error("control topic cannot be followed", topic=self._topic, error=str(error))
        finally:
            consumer.close()

    def _obey(self, value: bytes) -> None:
        try:
            control = decode_control(value)
        except msgspec.DecodeError as error:
            _log.warning("not a control record", error=str(error))
            return
        if control.kind == "resume" and control.version in (self._role, EVERY_ROLE):
            self._on_resume()

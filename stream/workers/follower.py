"""A thread that follows one topic beside the engine, for as long as a worker runs.

What it does with the records is the business of `catalogue.py` and `control.py`. It belongs to no group that commits:
its consumer is assigned by hand, and reads committed records alone.
"""

import threading
from abc import ABC, abstractmethod
from typing import Any, Final

from confluent_kafka import Consumer

from stream.engine.clients import Properties

_JOIN_S: Final = 10.0


class Follower(ABC):
    """Follows a topic from ``start`` to ``close``.

    Args:
        name: of the thread and of the group, which never commits.
        kafka: client properties.
        properties: of this consumer, under those of ``kafka``.
    """

    def __init__(self, name: str, kafka: Properties, properties: Properties) -> None:
        self._properties: dict[str, Any] = {
            **properties,
            **kafka,
            "group.id": f"tidemark.{name}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tidemark-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_JOIN_S)

    @abstractmethod
    def _begin(self, consumer: Consumer) -> None:
        """Assign the partitions."""

    @abstractmethod
    def _step(self, consumer: Consumer) -> None:
        """Take what has come within a moment."""

    @abstractmethod
    def _failed(self, error: Exception) -> None:
        """It follows no more."""

    def _run(self) -> None:
        try:
            consumer = Consumer(self._properties)
            try:
                self._begin(consumer)
                while not self._stopping.is_set():
                    self._step(consumer)
            finally:
                consumer.close()
        except Exception as error:
            self._failed(error)

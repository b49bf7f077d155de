"""A thread that follows one topic beside the engine, for as long as a worker runs.

What it does with the records is the business of `catalogue.py` and `control.py`. It belongs to no group that commits:
its consumer is assigned by hand, and reads committed records alone.
"""

import threading
from abc import ABC, abstractmethod
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, TopicPartition

from stream.engine.clients import Properties
from stream.engine.contact import ConsumerLost, Contact

_JOIN_S: Final = 10.0

_log = structlog.get_logger(__name__)


class Follower(ABC):
    """Follows a topic from ``start`` to ``close``.

    Args:
        name: of the thread and of the group, which never commits.
        kafka: client properties.
        properties: of this consumer, under those of ``kafka``.
        topic: physical name.
    """

    def __init__(self, name: str, kafka: Properties, properties: Properties, topic: str) -> None:
        self._topic = topic
        self._contact = Contact(kafka, topic)
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
    def _starts(self, consumer: Consumer) -> list[TopicPartition]:
        """The partitions, each with the offset to begin at."""

    @abstractmethod
    def _step(self, consumer: Consumer) -> None:
        """Take what has come within a moment."""

    @abstractmethod
    def _failed(self, error: Exception) -> None:
        """It follows no more."""

    def _run(self) -> None:
        places: list[TopicPartition] = []
        try:
            while not self._stopping.is_set():
                consumer = Consumer(self._properties)
                try:
                    places = self._follow(consumer, places or self._starts(consumer))
                finally:
                    consumer.close()
        except Exception as error:
            self._failed(error)

    def _follow(self, consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition]:
        """Until told to stop, or the consumer is lost. Returns where another one is to go on."""
        consumer.assign(places)
        self._contact.heard()
        try:
            while not self._stopping.is_set():
                self._step(consumer)
                self._contact.look(consumer)
        except ConsumerLost as error:
            _log.warning("taking another consumer", error=str(error))
        reached = {place.partition: place.offset for place in consumer.position(places)}
        return [
            TopicPartition(place.topic, place.partition, max(place.offset, reached[place.partition]))
            for place in places
        ]

"""The catalogue as the decisions role sees it: a thread that follows ``catalog.items.v1`` and offers snapshots.

A snapshot is complete up to the end that the topic had when the reader started; later changes appear within a moment.
"""

import threading
from typing import Any, Final

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from serving.catalogue import Catalogue
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.codec import decode_catalogue_item
from stream.engine.clients import Properties
from stream.engine.cluster import count_partitions
from stream.workers.follower import Follower

_BATCH: Final = 2_000
_POLL_S: Final = 0.1
_LOAD_TIMEOUT_S: Final = 60.0

_log = structlog.get_logger(__name__)


class CatalogueReader(Follower):
    """Follows the catalogue topic.

    Args:
        kafka: client properties.
        topic: physical name.
        empty: a snapshot without items, with the item tower of the model in use.
    """

    def __init__(self, kafka: Properties, topic: str, empty: Catalogue) -> None:
        super().__init__("catalogue", kafka, {"fetch.wait.max.ms": 100}, topic)
        self.snapshot = empty
        self._kafka = dict(kafka)
        self._behind: set[int] = set()
        """Partitions of which the end was not reached yet."""
        self._loaded = threading.Event()
        self._failure: Exception | None = None

    def start(self) -> None:
        """Begin, and wait until what the topic holds now is loaded.

        Raises:
            TopicMismatch: there is no such topic.
            ClusterUnreachable: no broker answered.
            TimeoutError: that took more than a minute.
        """
        super().start()
        if not self._loaded.wait(_LOAD_TIMEOUT_S):
            raise TimeoutError(f"topic {self._topic} could not be read within {_LOAD_TIMEOUT_S:.0f} s")
        if self._failure is not None:
            raise self._failure

    def _starts(self, consumer: Consumer) -> list[TopicPartition]:
        partitions = range(count_partitions(AdminClient(self._kafka), self._topic))
        self._behind.update(partitions)
        return [TopicPartition(self._topic, number, 0) for number in partitions]

    def _step(self, consumer: Consumer) -> None:
        changes: dict[str, CatalogueItem | None] = {}
        for message in consumer.consume(_BATCH, _POLL_S):
            error = message.error()
            if error is None:
                self._take(message, changes)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._behind.discard(message.partition() or 0)
        if changes:
            self.snapshot = self.snapshot.changed(changes)
        if not self._behind and not self._loaded.is_set():
            _log.info("catalogue loaded", items=len(self.snapshot), version=self.snapshot.version)
            self._loaded.set()

    def _failed(self, error: Exception) -> None:
        self._failure = error
        self._loaded.set()
        _log.error("catalogue cannot be followed", error=str(error))

    def _take(self, message: Message, changes: dict[str, Any]) -> None:
        key = (message.key() or b"").decode(errors="replace")
        value = message.value()
        if value is None:
            changes[key] = None
            return
        try:
            item = decode_catalogue_item(value)
        except msgspec.DecodeError as error:
            _log.warning(
                "not a catalogue item", offset=message.offset(), partition=message.partition(), error=str(error)
            )
            return
        if item.item_id != key:
            _log.warning("catalogue item under another key", item=item.item_id, key=key)
            return
        changes[key] = item

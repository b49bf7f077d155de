"""The catalogue as the decisions role sees it: a thread that follows ``catalog.items.v1`` and offers snapshots.

A snapshot is complete up to the end that the topic had when the reader started; later changes appear within a moment.
"""

import threading
from typing import Any, Final

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from serving.catalogue import Catalogue
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.codec import decode_catalogue_item
from stream.engine.clients import Properties

_BATCH: Final = 2_000
_POLL_S: Final = 0.1
_LOAD_TIMEOUT_S: Final = 60.0

_log = structlog.get_logger(__name__)


class CatalogueReader:
    """Follows the catalogue topic.

    Args:
        kafka: client properties.
        topic: physical name.
        empty: a snapshot without items, with the item tower of the model in use.
    """

    def __init__(self, kafka: Properties, topic: str, empty: Catalogue) -> None:
        self.snapshot = empty
        self._topic = topic
        self._kafka = kafka
        self._stopping = threading.Event()
        self._loaded = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._follow, name="tidemark-catalogue", daemon=True)

    def start(self) -> None:
        """Begin, and wait until what the topic holds now is loaded.

        Raises:
            TimeoutError: that took more than a minute.
        """
        self._thread.start()
        if not self._loaded.wait(_LOAD_TIMEOUT_S):
            raise TimeoutError(f"topic {self._topic} could not be read within {_LOAD_TIMEOUT_S:.0f} s")
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=10)

    def _follow(self) -> None:
        consumer = Consumer(
            {
                "fetch.wait.max.ms": 100,
                **self._kafka,
                "group.id": "tidemark.catalogue",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        try:
            partitions = consumer.list_topics(self._topic, timeout=_LOAD_TIMEOUT_S).topics[self._topic].partitions
            consumer.assign([TopicPartition(self._topic, number, 0) for number in partitions])
            behind = set(partitions)
            while not self._stopping.is_set():
                changes: dict[str, CatalogueItem | None] = {}
                for message in consumer.consume(_BATCH, _POLL_S):
                    error = message.error()
                    if error is None:
                        self._take(message, changes)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        behind.discard(message.partition() or 0)
                if changes:
                    self.snapshot = self.snapshot.changed(changes)
                if not behind and not self._loaded.is_set():
                    _log.info("catalogue loaded", items=len(self.snapshot), version=self.snapshot.version)
                    self._loaded.set()
        except Exception as error:
            self._failure = error
            self._loaded.set()
            _log.error("catalogue cannot be followed", error=str(error))
        finally:
            consumer.close()

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

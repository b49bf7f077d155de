"""Collects the items that events name, so that a shop without a catalogue feed has a catalogue from its first load on.

What the catalogue topic knows already is left alone, a deleted item included: the shop's own feed wins. Called by
`ingest.py`, and for files of items by `tidemark ingest --catalogue`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.codec import decode_catalogue_item, encode
from stream.operations.brokers import ANSWER_WITHIN, connect_admin, make_consumer, make_producer, produce, read_to_end
from stream.operations.envelopes import Envelope
from stream.operations.files import open_for_reading

_CATEGORIES: Final = ("item_category", "item_category2", "item_category3", "item_category4", "item_category5")


class CatalogueFileError(ValueError):
    """A line of a file of items is no item."""


class CatalogueItems:
    """Items by id: known ones, and new ones that were not yet written."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._new: dict[str, CatalogueItem] = {}

    def read_known(self, consumer: Consumer, admin: AdminClient, topic: str) -> None:
        """Take the items of the catalogue topic for known; a topic that does not exist knows none."""
        for message in read_to_end(consumer, admin, [topic]):
            self._known.add((message.key() or b"").decode(errors="replace"))

    def see(self, envelope: Envelope) -> None:
        """Note the items of an event. The last name and price of an item count; one without a name is of no use."""
        for item in envelope.items:
            if not item.item_id or not item.item_name or item.item_id in self._known:
                continue
            self._new[item.item_id] = CatalogueItem(
                item_id=item.item_id,
                item_name=item.item_name,
                item_group_id=item.item_group_id,
                item_brand=item.item_brand,
                item_variant=item.item_variant,
                price=item.price,
                currency=envelope.currency if item.price is not None else "",
                **{name: getattr(item, name) for name in _CATEGORIES},
            )

    def take_new(self) -> Iterator[CatalogueItem]:
        """The new items in order of their ids; they are known from then on."""
        for item_id in sorted(self._new):
            yield self._new[item_id]
        self._known |= self._new.keys()
        self._new.clear()


def item_names(configuration: Configuration) -> dict[str, str]:
    """Name of every item of the catalogue topic by its id; items without a name are left out."""
    return {item.item_id: item.item_name for item in listed_items(configuration) if item.item_name}


def listed_items(configuration: Configuration) -> list[CatalogueItem]:
    """Every item of the catalogue topic as it is now. A record that is no item is passed over, as workers do."""
    consumer = make_consumer(configuration.kafka, "tidemark.items", **{"enable.auto.commit": False})
    found: dict[bytes, CatalogueItem] = {}
    try:
        catalogue = configuration.topics.topic_names().physical(topics.CATALOGUE)
        for message in read_to_end(consumer, connect_admin(configuration.kafka), [catalogue]):
            key, value = message.key() or b"", message.value()
            found.pop(key, None)
            if value is not None:
                with suppress(msgspec.DecodeError):
                    found[key] = decode_catalogue_item(value)
    finally:
        consumer.close()
    return list(found.values())


def read_items(path: str | Path) -> list[CatalogueItem]:
    """The items of a file, one JSON object a line; of two with one id both.

    Raises:
        CatalogueFileError: a line is no item.
    """
    with open_for_reading(path) as file:
        return [_item(line, f"{path}, line {number}") for number, line in enumerate(file, start=1) if line.strip()]


def load_catalogue(
    configuration: Configuration, path: str | Path, on_progress: Callable[[int], None] = lambda items: None
) -> int:
    """Write a file of items, one JSON object a line, to the catalogue topic, and return how many.

    Later items replace earlier ones of the same id, in the file and in the topic, so loading it again changes nothing.

    Raises:
        CatalogueFileError: a line is no item; nothing is written then.
    """
    topic = configuration.topics.topic_names().physical(topics.CATALOGUE)
    producer: Producer = make_producer(
        configuration.kafka,
        **{
            "transactional.id": f"{configuration.topics.prefix}tidemark.catalogue",
            # What a killed load left open holds up every reader of the catalogue for so long.
            "transaction.timeout.ms": configuration.engine.transaction_timeout_ms,
        },
    )
    producer.init_transactions(ANSWER_WITHIN)
    producer.begin_transaction()
    written = 0
    try:
        with open_for_reading(path) as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                item = _item(line, f"{path}, line {number}")
                produce(producer, topic, key=item.item_id.encode(), value=encode(item))
                producer.poll(0)
                written += 1
                on_progress(written)
    except BaseException:
        producer.abort_transaction(ANSWER_WITHIN)
        raise
    producer.commit_transaction(ANSWER_WITHIN)
    return written


def _item(line: bytes, where: str) -> CatalogueItem:
    try:
        item: CatalogueItem = decode_catalogue_item(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CatalogueFileError(f"{where}: not a catalogue item: {error}") from error
    if not item.item_id:
        raise CatalogueFileError(f"{where}: item_id is empty")
    return item

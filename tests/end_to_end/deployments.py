"""Deployments of their own over one log, with the shipped model inside the workers, and what can be read of them.

Used by the tests of repairs and rebuilds.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from confluent_kafka.admin import AdminClient

from stream.configuration.clients import client_properties
from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.alerts import Alert
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.codec import decode_alert_event, decode_event, encode
from stream.contracts.events import Item
from stream.operations.topics import create_topics
from stream.operations.watch import Watch
from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from stream.workers.process import VERSION, build_processor
from stream.workers.profiles import ProfilesProcessor
from tests.chaos.deployment import configuration_text
from tests.chaos.input_log import PARTITIONS, input_log
from tests.chaos.read_back import flat, read_topic
from tests.chaos.writer import Writer
from tests.end_to_end.conftest import SEED, SPEED
from tests.end_to_end.repeats import Shop
from tests.integration.operations.work import working

_CATALOGUE: Final = ".catalogue"


class Deployment(NamedTuple):
    """A deployment of its own over the shop's events."""

    configuration: Configuration
    config: str
    environ: dict[str, str]
    """What a command needs, with that file, to mean the same."""

    def read(self, topic: str) -> list[tuple[bytes, bytes | None]]:
        """Keys and values of a topic, partition by partition."""
        physical = self.configuration.topics.topic_names().physical(topic)
        records = flat(read_topic(self.configuration.kafka.bootstrap_servers, physical))
        return [(record.key or b"", record.value) for record in records]

    def newest(self, topic: str) -> dict[bytes, bytes]:
        """What a compacted topic holds."""
        found = dict(self.read(topic))
        return {key: value for key, value in found.items() if value is not None}

    def alerts(self) -> dict[str, list[Alert]]:
        """Transitions by alert id, in order."""
        found: dict[str, list[Alert]] = {}
        for topic in (topics.ALERTS, topics.ALERTS_HOLDOUT):
            for _, value in self.read(topic):
                alert = decode_alert_event(value or b"").data
                found.setdefault(alert.alert_id, []).append(alert)
        return found


def deployed(shop: Shop, prefix: str) -> Deployment:
    path = shop.folder / f"{prefix}toml"
    path.write_text(configuration_text(shop.folder, shop.servers, prefix, model="127.0.0.1:1"))
    environ = {
        "TIDEMARK__TOPICS__NAMES": json.dumps(
            {topics.EVENTS: shop.events_topic, topics.CATALOGUE: f"{shop.events_topic}{_CATALOGUE}"}
        ),
        "TIDEMARK__TRITON__SCORER": "in_process",
        "TIDEMARK__TRITON__DEADLINE_MS": "60000",
        "TIDEMARK__TRITON__BACKLOG_DEADLINE_MS": "60000",
        # Which alerts the model explains in time is chance.
        "TIDEMARK__TRITON__REASONS_DEADLINE_MS": "0",
    }
    configuration = load(path, environ).configuration
    create_topics(AdminClient(client_properties(configuration.kafka)), configuration.topics)
    return Deployment(configuration, str(path), environ)


def profiles_of(configuration: Configuration, kind: type[ProfilesProcessor]) -> ProfilesProcessor:
    return kind(configuration.topics.topic_names(), configuration.profiles, PARTITIONS, VERSION)


@contextmanager
def deciding(configuration: Configuration) -> Iterator[None]:
    """A worker of the decisions runs."""
    with build_processor(configuration, "decisions") as processor, working(configuration, processor):
        yield


def await_idle(configuration: Configuration) -> None:
    with Watch(configuration) as watch:
        assert eventually(lambda: watch.look("decisions").idle, timeout=120)


def small_shop(own: Topics, folder: Path, label: str, events: int) -> Shop:
    """A shorter log than that of the other tests, and a catalogue of what is in it."""
    topic = own.create(label, partitions=PARTITIONS, settings=topics.TOPICS[topics.EVENTS].settings())
    unwritten = Shop(own.bootstrap_servers, folder, topic, [])
    writer = Writer(unwritten.configuration(own.name(f"{label}-writer."), SPEED), topic)
    log = input_log(events, SEED, customers=events // 60)
    writer.write(log)
    sold = sorted({item.item_id for record in log for item in _items(record.value)})
    catalogue = own.create(
        f"{label}{_CATALOGUE}", partitions=PARTITIONS, settings=topics.TOPICS[topics.CATALOGUE].settings()
    )
    own.produce(catalogue, [(each, encode(CatalogueItem(each, item_name=each))) for each in sold])
    return unwritten._replace(ends=writer.ends)


def _items(value: bytes | None) -> list[Item]:
    try:
        return decode_event(value or b"").items
    except msgspec.DecodeError:
        return []

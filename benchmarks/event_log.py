"""Logs of synthetic events on an embedded broker, written once and read by many runs.

Called by the benchmarks of throughput. A log's topic has the settings of Tidemark's own events topic.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.cluster import produce
from stream.configuration.settings import Configuration
from stream.contracts.codec import encode
from stream.contracts.topics import EVENTS, TOPICS
from stream.operations.simulate import BUSY, CLICKSTREAM, Load, synthetic

SKEWS: Final = {"zipf": 1.1, "uniform": 0.0}
"""Zipf exponents of the customers' activity: a few bring most events, or every event is another customer's."""


MIXES: Final = {"clickstream": CLICKSTREAM, "busy": BUSY}


class EventLog(NamedTuple):
    """A log that was written."""

    topic: str
    load: Load
    partitions: int


def make_load(skew: str, customers: int, events: int, mix: str = "busy") -> Load:
    """One item an event."""
    return Load(customers=customers, events=events, seed=1, skew=SKEWS[skew], most_lines=1, mix=MIXES[mix])


def make_topic(admin: AdminClient, name: str, partitions: int, settings: dict[str, str] | None = None) -> None:
    """Create a topic and wait until it is there."""
    admin.create_topics([NewTopic(name, partitions, 1, config=settings or {})])[name].result(30)


def drop_topics(admin: AdminClient, names: Iterable[str]) -> None:
    """Delete topics, so that a run leaves no bytes behind for the next one's page cache."""
    for answer in admin.delete_topics(list(names)).values():
        answer.result(30)


def write_log(
    admin: AdminClient,
    configuration: Configuration,
    topic: str,
    load: Load,
    see: Callable[[bytes], None] = lambda value: None,
) -> EventLog:
    """Write the events of ``load``.

    Args:
        see: is shown every value in order, for an oracle.
    """
    partitions = configuration.topics.partitions
    make_topic(admin, topic, partitions, TOPICS[EVENTS].settings())

    def records() -> Iterable[tuple[bytes, bytes]]:
        for event in synthetic(load):
            value = encode(event)
            see(value)
            yield event.customer_id.encode(), value

    produce(configuration, topic, records())
    return EventLog(topic, load, partitions)

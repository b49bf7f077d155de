"""What a subscription has left on the broker."""

from __future__ import annotations

from confluent_kafka import TopicPartition

from stream.configuration.settings import Configuration
from stream.contracts import topics as logical
from stream.contracts.undelivered import Undelivered, read_undelivered
from stream.operations.brokers import connect_admin, headers_of, make_consumer, read_to_end


def given_up(deployment: Configuration) -> list[tuple[Undelivered, bytes]]:
    topic = deployment.topics.topic_names().physical(logical.ALERTS_UNDELIVERED)
    consumer = make_consumer(deployment.kafka, "tests")
    try:
        messages = read_to_end(consumer, connect_admin(deployment.kafka), [topic])
        return [(read_undelivered(headers_of(message)), message.value() or b"") for message in messages]
    finally:
        consumer.close()


def committed(deployment: Configuration) -> int:
    """How many records the subscription is done with; markers of transactions count."""
    names = deployment.topics.topic_names()
    consumer = make_consumer(deployment.kafka, names.group("subscription.crm"))
    places = [TopicPartition(names.physical(logical.ALERTS), number) for number in range(3)]
    try:
        return sum(max(place.offset, 0) for place in consumer.committed(places, timeout=10))
    finally:
        consumer.close()

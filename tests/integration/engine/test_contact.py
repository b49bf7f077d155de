"""A consumer that has lost its brokers is told from one whose topic is quiet, and from a cluster that is away."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer

from stream.embedded.kafka import EmbeddedKafka
from stream.embedded.ports import free_ports
from stream.engine.contact import ConsumerLost, Contact
from stream.testing.topics import Topics
from stream.testing.waiting import eventually

LOOKS_OFTEN_S = 0.01


@contextmanager
def consumer_of(servers: str) -> Iterator[Consumer]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "contact", "log_level": 0})
    try:
        yield consumer
    finally:
        consumer.close()


def nowhere() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


def lost(contact: Contact, consumer: Consumer, timeout: float) -> bool:
    def found() -> bool:
        try:
            contact.look(consumer)
        except ConsumerLost:
            return True
        return False

    return eventually(found, timeout=timeout)


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "heard of"])
def test_a_consumer_without_brokers_is_lost_unless_it_is_heard_of(
    embedded_kafka: EmbeddedKafka, topics: Topics, silent: bool
) -> None:
    kafka = {"bootstrap.servers": embedded_kafka.bootstrap_servers}
    contact = Contact(kafka, topics.create("input"), quiet_s=LOOKS_OFTEN_S if silent else 60.0)
    with consumer_of(nowhere()) as consumer:
        assert lost(contact, consumer, timeout=30.0 if silent else 0.2) == silent


def test_a_consumer_of_a_quiet_topic_is_not_lost(embedded_kafka: EmbeddedKafka, topics: Topics) -> None:
    kafka = {"bootstrap.servers": embedded_kafka.bootstrap_servers}
    contact = Contact(kafka, topics.create("input"), quiet_s=LOOKS_OFTEN_S)
    with consumer_of(embedded_kafka.bootstrap_servers) as consumer:
        assert not lost(contact, consumer, timeout=1.0)


def test_a_consumer_of_a_cluster_that_is_away_is_not_lost() -> None:
    servers = nowhere()
    contact = Contact({"bootstrap.servers": servers, "log_level": 0}, "input", quiet_s=LOOKS_OFTEN_S)
    with consumer_of(servers) as consumer:
        assert not lost(contact, consumer, timeout=9.0)

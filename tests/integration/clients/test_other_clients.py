"""Whatever client a shop has: its customers land on the partitions where Tidemark looks for them, and it reads of an
alert what Tidemark committed and nothing else."""

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Consumer, Producer

from stream.configuration.clients import producer_properties
from stream.configuration.settings import KafkaSettings
from stream.contracts.codec import decode_alert_event, encode
from stream.contracts.partitioning import partition_for
from stream.testing.topics import Topics
from tests.integration.clients.tools import kafka_tool, node_script
from tests.unit.operations.messages import alert

PARTITIONS = 12
IDS = [
    *(str(number) for number in range(12_346, 12_546)),
    *(f"customer-{number}@shop.example" for number in range(40)),
    *("müller", "渡辺", "Ωmega", "naïve café", "🙂", "a" * 200, "é" * 63, "x", "0", "-1"),
]


@pytest.fixture
def topic(topics: Topics) -> str:
    return topics.create("customers", partitions=PARTITIONS)


def lies_on(servers: str, topic: str) -> dict[str, int]:
    """The partition of every key."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "where", "auto.offset.reset": "earliest", "fetch.wait.max.ms": 20}
    )
    try:
        consumer.subscribe([topic])
        found: dict[str, int] = {}
        while len(found) < len(IDS):
            messages = consumer.consume(500, 10.0)
            assert messages, f"{len(IDS) - len(found)} records are missing"
            for message in messages:
                assert message.error() is None, message.error()
                found[(message.key() or b"").decode()] = message.partition() or 0
        return found
    finally:
        consumer.close()


EXPECTED = {each: partition_for(each.encode(), PARTITIONS) for each in IDS}


def test_ids_of_javas_console_producer_lie_where_they_are_looked_for(topics: Topics, topic: str) -> None:
    servers = topics.bootstrap_servers
    options = ["--bootstrap-server", servers, "--topic", topic, "--property", "parse.key=true"]
    kafka_tool("ConsoleProducer", *options, given="".join(f"{each}\t{each}\n" for each in IDS))
    assert lies_on(servers, topic) == EXPECTED


def test_ids_of_kafkajs_lie_where_they_are_looked_for(topics: Topics, topic: str) -> None:
    servers = topics.bootstrap_servers
    node_script("produce.js", servers, topic, given="\n".join(IDS))
    assert lies_on(servers, topic) == EXPECTED


def test_ids_of_confluent_kafka_lie_where_they_are_looked_for(topics: Topics, topic: str) -> None:
    servers = topics.bootstrap_servers
    producer = Producer(producer_properties(KafkaSettings(bootstrap_servers=servers)))
    for each in IDS:
        producer.produce(topic, each, each)
    assert producer.flush(30) == 0
    assert lies_on(servers, topic) == EXPECTED


@pytest.fixture
def alerts(topics: Topics) -> tuple[str, list[bytes]]:
    """A topic with three alerts of committed transactions, between them two that were never committed."""
    name = topics.create("alerts")
    producer = Producer({"bootstrap.servers": topics.bootstrap_servers, "transactional.id": name})
    producer.init_transactions(30)
    values = [encode(alert(revision=number, customer_id="müller")) for number in range(1, 6)]
    for number, value in enumerate(values):
        producer.begin_transaction()
        producer.produce(name, value, "müller")
        producer.flush(30)
        if number % 2:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    return name, values[::2]


def test_the_console_consumer_reads_committed_alerts(
    topics: Topics, alerts: tuple[str, list[bytes]], tmp_path: Path
) -> None:
    topic, committed = alerts
    options = ["--bootstrap-server", topics.bootstrap_servers, "--topic", topic, "--from-beginning"]
    settings = ["--isolation-level", "read_committed", "--max-messages", str(len(committed))]
    said = kafka_tool("ConsoleConsumer", *options, *settings, "--property", "print.key=true")
    pairs = [line.split("\t", 1) for line in said.splitlines()]
    assert [key for key, _ in pairs] == ["müller"] * len(committed)
    assert [decode_alert_event(value.encode()) for _, value in pairs] == [decode_alert_event(e) for e in committed]


def test_aiokafka_reads_committed_alerts(topics: Topics, alerts: tuple[str, list[bytes]]) -> None:
    topic, committed = alerts

    async def read() -> list[bytes]:
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=topics.bootstrap_servers,
            group_id="reader",
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            async with asyncio.timeout(30):
                return [(await consumer.getone()).value for _ in committed]
        finally:
            await consumer.stop()

    assert asyncio.run(read()) == committed

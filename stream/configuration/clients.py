"""The properties that Kafka clients of Tidemark are made with: what is set, and what exactly-once rests on.

It makes no client. The engine adds its transactional ids and groups; operations use these as they are.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from stream.configuration.settings import KafkaSettings

KAFKA_LOG: Final = logging.getLogger("tidemark.kafka")
"""librdkafka's own lines, such as every lost connection. They repeat what the clients' errors say, so they are shown
only where a program gives this logger, or the root, a handler."""
KAFKA_LOG.addHandler(logging.NullHandler())


def show_kafka_log() -> None:
    """Print librdkafka's own lines on standard error, for who looks for a fault."""
    KAFKA_LOG.addHandler(logging.StreamHandler())
    KAFKA_LOG.setLevel(logging.DEBUG)


def client_properties(kafka: KafkaSettings) -> dict[str, Any]:
    """For an AdminClient, and the start of the other two."""
    return {
        "client.id": "tidemark",
        "logger": KAFKA_LOG,
        **kafka.client,
        "bootstrap.servers": kafka.bootstrap_servers,
    }


def consumer_properties(kafka: KafkaSettings) -> dict[str, Any]:
    """For a Consumer: it reads committed records alone and commits nothing by itself."""
    own = {"isolation.level": "read_committed", "enable.auto.commit": False, "enable.auto.offset.store": False}
    return {**client_properties(kafka), **kafka.consumer, **own}


def producer_properties(kafka: KafkaSettings) -> dict[str, Any]:
    """For a Producer: murmur2, so that a customer's records lie on one partition whoever writes them.

    Idempotent, because a plain producer that repeats a request was seen to write a customer's events out of order.
    """
    return {
        **client_properties(kafka),
        "enable.idempotence": True,
        **kafka.producer,
        "partitioner": "murmur2_random",
    }

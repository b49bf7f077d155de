"""How the engine's Kafka clients are configured. Whoever runs Tidemark may override any librdkafka property but the
few that the exactly-once promise rests on."""

import logging
from collections.abc import Mapping
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from stream.engine.settings import EngineSettings

Properties = Mapping[str, Any]

_kafka_log = logging.getLogger("tidemark.kafka")
"""librdkafka's own lines. They repeat what the errors say, so they are shown only where debug logs are."""
_log = structlog.get_logger(__name__)

_FETCH: Final[dict[str, Any]] = {
    # librdkafka waits a second by default once its queue is full; with 5 ms a plain reader went from 370,000 to
    # 950,000 events/s.
    "fetch.queue.backoff.ms": 5,
    "queued.min.messages": 100_000,
    "fetch.wait.max.ms": 50,
}

FIXED: Final = frozenset(
    {"isolation.level", "enable.auto.commit", "auto.offset.reset", "transactional.id", "enable.idempotence", "group.id"}
)
"""Properties that the promise rests on and that no configuration may change."""


class FixedProperty(ValueError):
    """The configuration tries to change a property that the exactly-once promise rests on."""


def check_properties(properties: Properties) -> None:
    """Raises ``FixedProperty`` for a property that may not be set."""
    for name in properties:
        if name in FIXED:
            raise FixedProperty(
                f"kafka property {name} cannot be set: effectively-once delivery rests on Tidemark's value of it"
            )


def _note_error(error: KafkaError) -> None:
    _log.debug("kafka client", error=str(error))


def make_admin(common: Properties) -> AdminClient:
    properties: dict[str, Any] = {**common, "error_cb": _note_error, "logger": _kafka_log}
    return AdminClient(properties)


def make_consumer(
    common: Properties, settings: EngineSettings, group: str, instance: str, extra: Properties | None = None
) -> Consumer:
    """The consumer of the input topic: read_committed, nothing committed or reset by itself."""
    membership: dict[str, Any] = (
        {
            "group.instance.id": instance,
            "session.timeout.ms": settings.session_timeout_ms,
            "heartbeat.interval.ms": max(settings.session_timeout_ms // 10, 100),
            "partition.assignment.strategy": "range",
        }
        if settings.group_protocol == "classic"
        else {"group.protocol": "consumer"}
    )
    return Consumer(
        {
            **_FETCH,
            **common,
            **(extra or {}),
            **membership,
            "group.id": group,
            "client.id": f"tidemark-{instance}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "error_cb": _note_error,
            "logger": _kafka_log,
        }
    )


def make_reader(common: Properties, group: str, isolation_level: str) -> Consumer:
    """A consumer that asks about ``group`` and is no member of it."""
    return Consumer(
        {
            **common,
            "group.id": group,
            "isolation.level": isolation_level,
            "enable.auto.commit": False,
            "error_cb": _note_error,
            "logger": _kafka_log,
        }
    )


def make_restore_consumer(common: Properties, group: str) -> Consumer:
    """The consumer of the changelog: assigned by hand, read_committed, with fetches made for bulk (3 times the
    default's speed)."""
    return Consumer(
        {
            "fetch.message.max.bytes": 8 * 1024 * 1024,
            "queued.max.messages.kbytes": 256 * 1024,
            "fetch.queue.backoff.ms": 5,
            "fetch.wait.max.ms": 20,
            **common,
            "queued.min.messages": 1_000_000,
            "group.id": f"{group}.restore",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "error_cb": _note_error,
            "logger": _kafka_log,
        }
    )


def make_producer(
    common: Properties, settings: EngineSettings, transactional_id: str, extra: Properties | None = None
) -> Producer:
    """The transactional producer. ``init_transactions`` is the caller's."""
    return Producer(
        {
            "compression.type": "lz4",
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 512 * 1024,
            "message.max.bytes": 1_048_588,
            **common,
            **(extra or {}),
            # Java's partitioner; librdkafka's own (CRC32) would split a customer into two profiles.
            "partitioner": "murmur2_random",
            "transactional.id": transactional_id,
            "transaction.timeout.ms": settings.transaction_timeout_ms,
            "error_cb": _note_error,
            "logger": _kafka_log,
        }
    )


def error_of(exception: KafkaException) -> KafkaError:
    """The ``KafkaError`` inside an exception."""
    error = exception.args[0]
    return error if isinstance(error, KafkaError) else KafkaError(KafkaError._FAIL, str(error))

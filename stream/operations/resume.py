"""Tells workers whose partitions were paused, because most of their input was bad, to go on.

Called by `tidemark resume`. What is written is a record of the control topic, which every running worker follows.
"""

from __future__ import annotations

import time

from confluent_kafka import KafkaError, KafkaException, Message

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.codec import encode
from stream.contracts.control import EVERY_ROLE, Control
from stream.operations.brokers import (
    ANSWER_WITHIN,
    KafkaUnreachableError,
    MissingTopicError,
    connect_admin,
    explained,
    make_producer,
)


def resume(configuration: Configuration, role: str | None, reason: str) -> None:
    """Write the record.

    Args:
        role: whose workers are meant; None for all.
        reason: why, in words; it is kept with the record.

    Raises:
        KafkaUnreachableError: the record could not be written.
        MissingTopicError: there are no topics yet.
        AccessError: this user may not write it.
    """
    connect_admin(configuration.kafka)
    topic = configuration.topics.topic_names().physical(topics.CONTROL)
    said = Control(kind="resume", version=role or EVERY_ROLE, effective_at=int(time.time() * 1000), reason=reason)
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            refused.append(error)

    # Said twice is said once. An idempotent producer turns a refusal into an error of its own that cannot be told.
    producer = make_producer(configuration.kafka, **{"enable.idempotence": False})
    producer.produce(topic, encode(said), b"resume", on_delivery=delivered)
    if producer.flush(ANSWER_WITHIN):
        raise KafkaUnreachableError(
            f"Kafka at {configuration.kafka.bootstrap_servers} does not answer: nothing was resumed"
        )
    for error in refused:
        if error.code() in (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART):
            raise MissingTopicError(f"topic {topic} does not exist: create the topics with `tidemark topics`")
        raise explained(KafkaException(error), topic)

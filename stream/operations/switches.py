"""Reads and writes the control topic: which version of the model and which policies were brought into force when, and
by whom.

Called by `resume.py` and by the operations of `tidemark models` and `tidemark policies`; workers follow the
topic by `stream.workers`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka.admin import AdminClient

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.codec import decode_control, encode
from stream.contracts.control import Control, ControlKind
from stream.operations.brokers import (
    ANSWER_WITHIN,
    AccessError,
    KafkaUnreachableError,
    MissingTopicError,
    connect_admin,
    explained,
    make_consumer,
    make_producer,
    read_to_end,
)

_GROUP: Final = "tidemark.switches"
_AT_ONCE_S: Final = 1.0


def say(configuration: Configuration, said: Control) -> None:
    """Write a record of the control topic, and return when the brokers have it.

    Raises:
        KafkaUnreachableError: it could not be written.
        MissingTopicError: there are no topics yet.
        AccessError: this user may not write it.
    """
    connect_admin(configuration.kafka)
    topic = configuration.topics.topic_names().physical(topics.CONTROL)
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            refused.append(error)

    # Said twice is said once. An idempotent producer turns a refusal into an error of its own that cannot be told.
    producer = make_producer(configuration.kafka, **{"enable.idempotence": False})
    producer.produce(topic, encode(said), said.kind.encode(), on_delivery=delivered)
    if producer.flush(ANSWER_WITHIN):
        raise KafkaUnreachableError(
            f"Kafka at {configuration.kafka.bootstrap_servers} does not answer: nothing was changed"
        )
    for error in refused:
        if error.code() in (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART):
            raise MissingTopicError(f"topic {topic} does not exist: create the topics with `tidemark topics`")
        raise explained(KafkaException(error), topic)


def promoted(configuration: Configuration) -> str | None:
    """The version that was promoted last; empty where none was, None where no Kafka with the topic answers at once."""
    properties: dict[str, Any] = {**client_properties(configuration.kafka), "log_level": 0}
    try:
        AdminClient(properties).list_topics(timeout=_AT_ONCE_S)
        said = model_switches(configuration)
    except (KafkaException, KafkaUnreachableError, MissingTopicError, AccessError):
        return None
    return said[-1].version if said else ""


def model_switches(configuration: Configuration) -> list[Control]:
    """Every switch of the model so far, in the order of the topic.

    Raises:
        KafkaUnreachableError, MissingTopicError, AccessError: the topic cannot be read.
    """
    return _said(configuration, "model")


def policy_changes(configuration: Configuration) -> list[Control]:
    """Every change of the policies so far, in the order of the topic.

    Raises:
        KafkaUnreachableError, MissingTopicError, AccessError: the topic cannot be read.
    """
    return _said(configuration, "policy")


def _said(configuration: Configuration, kind: ControlKind) -> list[Control]:
    admin = connect_admin(configuration.kafka)
    topic = configuration.topics.topic_names().physical(topics.CONTROL)
    consumer = make_consumer(configuration.kafka, _GROUP, **{"enable.auto.commit": False})
    found: list[Control] = []
    try:
        for message in read_to_end(consumer, admin, [topic]):
            try:
                control = decode_control(message.value() or b"")
            except msgspec.DecodeError:
                # Workers pass it over with a warning as well.
                continue
            if control.kind == kind:
                found.append(control)
    finally:
        consumer.close()
    return found

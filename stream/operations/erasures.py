"""Who was erased, for operations that fold the log or tell what lies in it. Called by the history, by retraining, by
dead letters and by `tidemark erase`."""

from __future__ import annotations

from typing import Final

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.erasures import Role
from stream.operations.brokers import make_consumer, partitions_of
from stream.workers import profiles
from stream.workers.erased import Erasures, read_erasures

_GROUP: Final = "tidemark.erasures"


def erasures_of(configuration: Configuration, role: Role = profiles.ROLE) -> Erasures:
    """Those whom ``role`` has forgotten so far: the profiles, which meet the event first, say from where to skip.

    Raises:
        AccessError: this user may not read them.
        MissingTopicError: `tidemark topics` creates the topic.
        KafkaUnreachableError, KafkaException, TimeoutError: Kafka does not answer.
    """
    names = configuration.topics.topic_names()
    consumer = make_consumer(configuration.kafka, _GROUP)
    try:
        # A worker takes a topic that it may not see for one that is not there.
        partitions_of(consumer, [names.physical(topics.EVENTS), names.physical(topics.ERASURES)])
    finally:
        consumer.close()
    return read_erasures(
        client_properties(configuration.kafka),
        names,
        configuration.deployment.secret,
        role,
    )

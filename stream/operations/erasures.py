"""Who was erased, for operations that fold the log or tell what lies in it. Called by the history, by retraining, by
dead letters and by `tidemark erase`."""

from __future__ import annotations

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts.erasures import Role
from stream.workers import profiles
from stream.workers.erased import Erasures, read_erasures


def erasures_of(configuration: Configuration, role: Role = profiles.ROLE) -> Erasures:
    """Those whom ``role`` has forgotten so far: the profiles, which meet the event first, say from where to skip.

    Raises:
        TopicMismatch: a topic is missing: `tidemark topics` creates it.
        ClusterUnreachable, KafkaException, TimeoutError: Kafka does not answer.
    """
    return read_erasures(
        client_properties(configuration.kafka),
        configuration.topics.topic_names(),
        configuration.deployment.secret,
        role,
    )

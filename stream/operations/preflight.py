"""What a worker looks at before it joins its group, where Kafka would only refuse it again and again.

Best effort: who may not read the brokers' settings is let through. Called by `tidemark worker`.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from stream.configuration.resolve import ConfigurationError
from stream.engine.settings import EngineSettings

ANSWER_WITHIN: Final = 5.0
"""Seconds for the brokers' settings; one that is going down may stay away without holding up a worker for longer."""

LEAST: Final = "group.min.session.timeout.ms"
MOST: Final = "group.max.session.timeout.ms"


def check_session_timeout(admin: AdminClient, engine: EngineSettings) -> None:
    """Compare ``engine.session_timeout_ms`` with what the brokers let the member of a classic group have.

    Raises:
        ConfigurationError: a broker would refuse it (INVALID_SESSION_TIMEOUT), with its bounds.
    """
    if engine.group_protocol != "classic":
        return
    try:
        brokers = admin.list_topics(timeout=ANSWER_WITHIN).brokers
    except KafkaException:
        return
    asked = admin.describe_configs(
        [ConfigResource(ResourceType.BROKER, str(broker)) for broker in brokers], request_timeout=ANSWER_WITHIN
    )
    for future in asked.values():
        try:
            present = future.result(ANSWER_WITHIN)
        except (KafkaException, TimeoutError):
            continue
        least, most = int(present[LEAST].value), int(present[MOST].value)
        if not least <= engine.session_timeout_ms <= most:
            raise ConfigurationError(
                f"engine.session_timeout_ms is {engine.session_timeout_ms}, the brokers take {least} to {most}: set it "
                f"within that, or change {LEAST} and {MOST} of the brokers"
            )

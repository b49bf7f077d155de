"""Finds the customer of an alert: among those that are open, else among all transitions that the log still has.

Called by `explaining.py`.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from confluent_kafka import Consumer

from stream.configuration.settings import Configuration
from stream.contracts import codec as messages
from stream.contracts import topics
from stream.operations.brokers import bounds_of, partitions_of
from stream.operations.history.reading import Progress, committed_end, records

_ALERTS: Final = (topics.ALERTS, topics.ALERTS_HOLDOUT)


def customer_of(
    configuration: Configuration, consumer: Consumer, alert_id: str, progress: Progress | None = None
) -> str | None:
    """Whom the alert is about; None where no such alert is there, or ``alert_id`` is no alert's."""
    try:
        UUID(alert_id)
    except ValueError:
        return None
    names, wanted = configuration.topics.topic_names(), alert_id.encode()
    for logical in (topics.ALERTS_OPEN, *_ALERTS):
        topic = names.physical(logical)
        for place in partitions_of(consumer, [topic]):
            low, _ = bounds_of(consumer, place)
            end = committed_end(configuration.kafka, topic, place.partition)
            for message in records(consumer, topic, place.partition, low, end, progress):
                value = message.value()
                if value is None or wanted not in value:
                    continue
                if logical == topics.ALERTS_OPEN:
                    if message.key() == wanted:
                        return messages.decode_open_alert(value).customer_id
                elif (alert := messages.decode_alert_event(value).data).alert_id == alert_id:
                    return alert.customer_id
    return None

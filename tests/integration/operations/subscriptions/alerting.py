"""Alerts as the role decisions writes them, in transactions that commit and one that does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from msgspec.structs import replace

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.alerts import AlertEvent, Evidence, Severity
from stream.contracts.codec import decode_alert_event, encode
from stream.contracts.ids import alert_id, message_id
from stream.operations.brokers import make_producer

EXAMPLE = decode_alert_event(
    (Path(__file__).parents[4] / "docs" / "schemas" / "examples" / "alert-event.v1.json").read_bytes()
)


def transition(
    customer: str,
    revision: int = 1,
    *,
    severity: Severity = "medium",
    kind: str = "churn_risk",
    status: Any = None,
    episode: int = 0,
    evidence: Evidence | None = None,
    **alert: Any,
) -> AlertEvent:
    """One transition of a customer's alert; the first is ``raised``, later ones ``updated``."""
    status = status or ("raised" if revision == 1 else "updated")
    named = alert_id(b"secret", customer, kind, episode)
    data = replace(
        EXAMPLE.data,
        alert_id=named,
        kind=kind,
        status=status,
        revision=revision,
        customer_id=customer,
        severity=severity,
        evidence=evidence or EXAMPLE.data.evidence,
        **alert,
    )
    return replace(
        EXAMPLE,
        id=message_id(named, revision),
        type=f"io.tidemark.alert.{status}.v1",
        subject=customer,
        partitionkey=customer,
        sequence=f"{revision:010}",
        data=data,
    )


def produce(
    deployment: Configuration, events: list[AlertEvent], *, commit: bool = True, logical: str = topics.ALERTS
) -> None:
    """Write them in one transaction, and commit it or roll it back."""
    producer: Producer = make_producer(deployment.kafka, **{"transactional.id": f"{deployment.topics.prefix}alerting"})
    topic = deployment.topics.topic_names().physical(logical)
    producer.init_transactions(10)
    producer.begin_transaction()
    for event in events:
        producer.produce(topic, key=event.subject.encode(), value=encode(event))
    producer.flush(10)
    if commit:
        producer.commit_transaction(10)
    else:
        producer.abort_transaction(10)

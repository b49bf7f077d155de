"""The records that decisions write: envelopes, keys and topics of alerts, answers, predictions and tombstones.

It chooses the topic by the alert's arm, so that nothing else can send a hold-out alert to where it may be mailed. What
an alert says is made in ``episodes``, a list in ``recommendations``.
"""

from typing import Final

from stream.contracts import codec, topics
from stream.contracts.alerts import Alert, AlertEvent, OpenAlert
from stream.contracts.emission import Headers, Output
from stream.contracts.erasures import CustomerErased, ErasedEvent
from stream.contracts.ids import erased_id, message_id
from stream.contracts.recommendations import Recommendation
from stream.contracts.scores import Prediction, Score, ScoreRequest
from stream.contracts.times import to_rfc3339
from stream.decisions.deployment import Deployment

ENDED: Final = frozenset({"resolved", "expired", "corrected"})
"""The statuses after which an alert is no longer open."""

_SEQUENCE_DIGITS: Final = 10


def transition(alert: Alert, deployment: Deployment, traceparent: str = "") -> list[Output]:
    """The CloudEvent of one transition, on the topic of the alert's arm, and what is open after it.

    The topic of open alerts holds the treatment arm alone: it is read to act on, and the hold-out must not be acted on.
    """
    event = AlertEvent(
        specversion="1.0",
        id=message_id(alert.alert_id, alert.revision),
        source=deployment.source,
        type=f"io.tidemark.alert.{alert.status}.v1",
        subject=alert.customer_id,
        time=alert.as_of,
        datacontenttype="application/json",
        dataschema=codec.ALERT.schema_uri,
        partitionkey=alert.customer_id,
        sequence=f"{alert.revision:0{_SEQUENCE_DIGITS}d}",
        data=alert,
        traceparent=traceparent or None,
    )
    if alert.experiment.arm == "holdout":
        return [_record(topics.ALERTS_HOLDOUT, alert.customer_id, codec.encode(event))]
    still_open = None if alert.status in ENDED else codec.encode(_open_alert(alert))
    return [
        _record(topics.ALERTS, alert.customer_id, codec.encode(event)),
        _record(topics.ALERTS_OPEN, alert.alert_id, still_open),
    ]


def _open_alert(alert: Alert) -> OpenAlert:
    return OpenAlert(
        alert_id=alert.alert_id,
        kind=alert.kind,
        customer_id=alert.customer_id,
        revision=alert.revision,
        status=alert.status,
        severity=alert.severity,
        score=alert.score,
        episode_started_at=alert.episode_started_at,
        as_of=alert.as_of,
        expires_at=alert.expires_at,
        experiment=alert.experiment,
        mode=alert.mode,
        simulated=alert.simulated,
    )


def answered(score: Score, headers: Headers = ()) -> Output:
    """The record of an answer."""
    return _record(topics.SCORES, score.customer_id, codec.encode(score), headers)


def predicted(prediction: Prediction) -> Output:
    """The record of a customer's latest view."""
    return _record(topics.PREDICTIONS, prediction.customer_id, codec.encode(prediction))


def recommended(recommendation: Recommendation) -> Output:
    """The record of a customer's list."""
    return _record(topics.RECOMMENDATIONS, recommendation.customer_id, codec.encode(recommendation))


def asked(request: ScoreRequest) -> Output:
    """The record of a question to the model."""
    return _record(topics.SCORE_REQUESTS, request.customer_id, codec.encode(request))


def forgotten(customer_id: str) -> list[Output]:
    """Tombstones of what is kept by customer."""
    return [_record(topics.PREDICTIONS, customer_id, None), _record(topics.RECOMMENDATIONS, customer_id, None)]


def erased(request: ScoreRequest, deployment: Deployment) -> Output:
    """The news of an erasure, for whoever keeps something of the customer."""
    customer_id, at = request.customer_id, to_rfc3339(request.as_of)
    event = ErasedEvent(
        specversion="1.0",
        id=erased_id(customer_id, request.events_partition, request.last_offset),
        source=deployment.source,
        type="io.tidemark.customer.erased.v1",
        subject=customer_id,
        time=at,
        datacontenttype="application/json",
        dataschema=codec.CUSTOMER_ERASED.schema_uri,
        partitionkey=customer_id,
        data=CustomerErased(customer_id, at, request.events_partition, request.last_offset),
        traceparent=request.traceparent or None,
    )
    return _record(topics.ERASED, customer_id, codec.encode(event))


def _record(topic: str, key: str, value: bytes | None, headers: Headers = ()) -> Output:
    return Output(topic, key.encode(), value, headers)

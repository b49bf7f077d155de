"""What a run has said in the end: the newest transition of every alert, the newest view and list of every customer.

Digests first, since they fit into memory; the messages themselves are read for those alone that differ. What is not for
readers (revisions, what was said before, where a request lies) counts for nothing. Called by ``plan``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from hashlib import blake2b
from typing import Final, NamedTuple, TypeVar

import msgspec
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from msgspec.structs import replace

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.alerts import Alert
from stream.contracts.codec import decode_alert_event, decode_prediction, decode_recommendation, encode
from stream.contracts.recommendations import Recommendation
from stream.contracts.scores import Prediction
from stream.decisions.messages import ENDED
from stream.decisions.repair import bare
from stream.operations.brokers import make_consumer, read_to_end
from stream.operations.erasures import erasures_of

T = TypeVar("T")

_GROUP: Final = "tidemark.repair"
_QUICK: Final = {"fetch.wait.max.ms": 20}


class Newest(NamedTuple):
    """The newest transition of an alert."""

    customer_id: str
    revision: int
    open: bool
    corrected: bool
    """Whether it ended as one that should never have been."""
    digest: bytes


class Views(NamedTuple):
    """Digests of the newest record of every customer."""

    predictions: dict[str, bytes]
    recommendations: dict[str, bytes]


class _By(msgspec.Struct):
    fallback: bool = False


class _Answered(msgspec.Struct):
    """The fields of a ``Score`` that tell who answered."""

    customer_id: str
    answer: _By


_decode_answered: Final = msgspec.json.Decoder(_Answered).decode


class Run:
    """What one run has said, read from its topics."""

    def __init__(self, configuration: Configuration, admin: AdminClient) -> None:
        self._configuration = configuration
        self._names = configuration.topics.topic_names()
        self._admin = admin
        self._erasures = erasures_of(configuration)

    def alerts(self) -> dict[str, Newest]:
        """The newest transition of every alert, by alert id."""
        found: dict[str, Newest] = {}
        for alert in self._alerts():
            known = found.get(alert.alert_id)
            if known is None or known.revision < alert.revision:
                found[alert.alert_id] = Newest(
                    alert.customer_id,
                    alert.revision,
                    alert.status not in ENDED,
                    alert.status == "corrected",
                    digest_of(alert),
                )
        return found

    def published(self, wanted: Collection[str]) -> dict[str, Alert]:
        """The newest transition itself, of these alerts."""
        found: dict[str, Alert] = {}
        for alert in self._alerts():
            if alert.alert_id in wanted:
                known = found.get(alert.alert_id)
                if known is None or known.revision < alert.revision:
                    found[alert.alert_id] = alert
        return found

    def views(self) -> Views:
        """The newest view and list of every customer."""
        return Views(
            self._newest(topics.PREDICTIONS, _digest),
            self._newest(topics.RECOMMENDATIONS, lambda value: _digest(encode(_unnumbered(value)))),
        )

    def predictions(self, wanted: Collection[str]) -> dict[str, Prediction]:
        """The newest view of these customers."""
        return self._newest(topics.PREDICTIONS, decode_prediction, wanted)

    def recommendations(self, wanted: Collection[str]) -> dict[str, Recommendation]:
        """The newest list of these customers."""
        return self._newest(topics.RECOMMENDATIONS, decode_recommendation, wanted)

    def answered_by_fallback(self) -> set[str]:
        """Customers to whom the fallback has answered, as far back as scores are kept."""
        answers = (_decode_answered(value) for _, value in self._records(topics.SCORES) if value is not None)
        return {answered.customer_id for answered in answers if answered.answer.fallback}

    def _alerts(self) -> Iterator[Alert]:
        """All transitions but those that lie before their customer's erasure: nothing is said of them any more."""
        for _, value in self._records(topics.ALERTS, topics.ALERTS_HOLDOUT):
            alert = decode_alert_event(value or b"").data
            evidence = alert.evidence
            if not self._erasures.before(alert.customer_id.encode(), evidence.partition, evidence.last_offset):
                yield alert

    def _newest(self, topic: str, take: Callable[[bytes], T], wanted: Collection[str] | None = None) -> dict[str, T]:
        found: dict[str, T] = {}
        for key, value in self._records(topic):
            customer = key.decode(errors="replace")
            if wanted is not None and customer not in wanted:
                continue
            if value is None:
                found.pop(customer, None)
            else:
                found[customer] = take(value)
        return found

    def _records(self, *logical: str) -> Iterator[tuple[bytes, bytes | None]]:
        consumer: Consumer = make_consumer(self._configuration.kafka, _GROUP, **_QUICK)
        try:
            physical = [self._names.physical(topic) for topic in logical]
            for message in read_to_end(consumer, self._admin, physical):
                yield message.key() or b"", message.value()
        finally:
            consumer.close()


def digest_of(alert: Alert) -> bytes:
    """Of what the alert says of the customer, and of whether it is open."""
    return _digest(encode(bare(alert)))


def _unnumbered(value: bytes) -> Recommendation:
    return replace(decode_recommendation(value), recommendation_id="", revision=0)


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()

"""What a subscription gives up, onto ``customer.alerts.undelivered.v1``.

A letter is written before the offset of what it is about is committed, so a kill in between writes it twice and never
not at all. Called by ``subscription.py``.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message

from stream.configuration.settings import KafkaSettings
from stream.contracts.emission import Origin
from stream.contracts.undelivered import Code, Undelivered, headers_of
from stream.operations.brokers import ANSWER_WITHIN, make_producer, produce

_LINGER_MS: Final = 5


class Letters:
    """Of one subscription.

    Args:
        topic: of undelivered alerts, on the broker.
        source: that the subscription reads, on the broker.
    """

    def __init__(self, kafka: KafkaSettings, topic: str, source: str, subscription: str) -> None:
        self._topic = topic
        self._source = source
        self._subscription = subscription
        self._refused: KafkaError | None = None
        self._producer = make_producer(kafka, **{"linger.ms": _LINGER_MS})

    def write(
        self,
        code: Code,
        message: str,
        tries: int,
        *,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
    ) -> None:
        """Hand a letter to the client; ``settle`` says when the brokers have it.

        Args:
            tries: attempts that were made.
        """
        origin = Origin(self._source, partition, offset)
        headers = headers_of(Undelivered(self._subscription, code, message, tries, origin))
        produce(self._producer, self._topic, key=key, value=value, headers=list(headers), on_delivery=self._written)

    def settle(self) -> None:
        """Wait until the brokers have every letter.

        Raises:
            KafkaException: they refuse one.
            TimeoutError: they do not answer.
        """
        left = self._producer.flush(ANSWER_WITHIN)
        if self._refused is not None:
            raise KafkaException(self._refused)
        if left:
            raise TimeoutError(f"Kafka does not take {left} undelivered alerts: run it again when it does")

    def _written(self, error: KafkaError | None, _: Message) -> None:
        self._refused = self._refused or error

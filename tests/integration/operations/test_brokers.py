"""What a producer's failure is called."""

import uuid

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.operations.brokers import FENCED, error_of, make_producer, produce
from stream.testing.waiting import eventually


def test_a_producer_that_was_fenced_says_so_and_not_that_it_failed(deployment: Configuration) -> None:
    topic, name = deployment.topics.topic_names().physical(topics.EVENTS), uuid.uuid4().hex
    first, second = (make_producer(deployment.kafka, **{"transactional.id": name}) for _ in range(2))
    first.init_transactions(10)
    first.begin_transaction()
    produce(first, topic, value=b"{}")
    first.flush(10)
    second.init_transactions(10)

    def failed_for_good() -> bool:
        try:
            first.produce(topic, b"{}")
            first.poll(0.05)
        except KafkaException as error:
            return error_of(error).code() == KafkaError._FATAL
        return False

    assert eventually(failed_for_good), "the client itself gives no reason"
    with pytest.raises(KafkaException) as raised:
        produce(first, topic, value=b"{}")
    assert error_of(raised.value).code() in FENCED


def test_a_record_that_the_client_refuses_is_refused_with_its_own_reason(deployment: Configuration) -> None:
    producer = make_producer(deployment.kafka)
    with pytest.raises(KafkaException) as raised:
        produce(producer, deployment.topics.topic_names().physical(topics.EVENTS), value=b" " * 2_000_000)
    assert error_of(raised.value).code() == KafkaError.MSG_SIZE_TOO_LARGE

"""Topics on a real broker: created as they must be, left alone when right, refused when wrong."""

import time

import msgspec
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from stream.configuration.settings import Configuration, KafkaSettings
from stream.operations.brokers import KafkaUnreachableError, connect_admin
from stream.operations.topics import TopicMismatchError, create_topics, inspect_topics, wanted_topics
from stream.testing.topics import Topics


def settings_of(admin: AdminClient, topic: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return {name: entry.value for name, entry in admin.describe_configs([resource])[resource].result().items()}


def test_topics_have_every_setting_of_their_specification_on_the_broker(deployment: Configuration) -> None:
    admin = connect_admin(deployment.kafka)
    for topic in wanted_topics(deployment.topics):
        present = settings_of(admin, topic.name)
        assert {name: present[name] for name in topic.spec.settings()} == topic.spec.settings()


def test_creating_them_again_changes_nothing(deployment: Configuration) -> None:
    states = create_topics(connect_admin(deployment.kafka), deployment.topics)
    assert {state.state for state in states} == {"exists"}


def test_looking_creates_nothing(deployment: Configuration) -> None:
    other = msgspec.structs.replace(deployment.topics, prefix=deployment.topics.prefix + "other.")
    assert {state.state for state in inspect_topics(connect_admin(deployment.kafka), other)} == {"missing"}


def test_another_number_of_partitions_is_refused_with_what_to_do(deployment: Configuration) -> None:
    admin = connect_admin(deployment.kafka)
    with pytest.raises(TopicMismatchError) as caught:
        create_topics(admin, msgspec.structs.replace(deployment.topics, partitions=5))
    assert (
        f"{deployment.topics.prefix}customer.events.v1 has 3 partitions, it must have 5: set topics.partitions = 3"
        in str(caught.value)
    )


def test_another_setting_is_refused_and_nothing_is_created_besides(deployment: Configuration, topics: Topics) -> None:
    admin = connect_admin(deployment.kafka)
    prefix = topics.prefix + "wrong."
    topics.create(prefix + "customer.events.v1", partitions=3, settings={"retention.ms": "1000"})
    # The controller has it; a moment later the broker tells of it.
    while prefix + "customer.events.v1" not in admin.list_topics(timeout=10).topics:
        time.sleep(0.05)
    wrong = msgspec.structs.replace(deployment.topics, prefix=prefix)
    with pytest.raises(TopicMismatchError) as caught:
        create_topics(admin, wrong)
    assert any("retention.ms=1000, it must have 34560000000" in each for each in caught.value.differences)
    assert any(
        "message.timestamp.type=CreateTime, it must have LogAppendTime" in each for each in caught.value.differences
    )
    present = [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)]
    assert present == [prefix + "customer.events.v1"]


def test_a_broker_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.operations.brokers.ANSWER_WITHIN", 0.5)
    with pytest.raises(KafkaUnreachableError, match="start one with `tidemark up`"):
        connect_admin(KafkaSettings(bootstrap_servers="127.0.0.1:1"))

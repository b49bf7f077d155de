"""Topics on a real broker: created as they must be, left alone when right, refused when wrong."""

import time

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from stream.configuration.resolve import ConfigurationError
from stream.configuration.settings import Configuration, KafkaSettings, TopicSettings
from stream.operations.brokers import KafkaUnreachableError, connect_admin
from stream.operations.topics import TopicMismatchError, create_topics, inspect_topics, wanted_topics
from stream.testing.topics import Topics
from stream.testing.waiting import eventually


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


def test_another_number_of_partitions_is_refused_in_one_sentence_with_what_to_do(deployment: Configuration) -> None:
    admin = connect_admin(deployment.kafka)
    with pytest.raises(TopicMismatchError) as caught:
        create_topics(admin, msgspec.structs.replace(deployment.topics, partitions=5))
    prefix = deployment.topics.prefix
    assert str(caught.value) == (
        f"topics have 3 partitions, topics.partitions is 5 ({prefix}customer.events.v1, {prefix}catalog.items.v1 and "
        "12 more): set topics.partitions = 3, or another topics.prefix"
    )


def test_topics_that_are_not_alike_are_refused_by_their_counts(topics: Topics) -> None:
    admin = connect_admin(KafkaSettings(bootstrap_servers=topics.bootstrap_servers))
    settings = TopicSettings(prefix=topics.prefix, partitions=3)
    create_topics(admin, settings)
    admin.create_partitions([NewPartitions(topics.prefix + "customer.scores.v1", 4)])[
        topics.prefix + "customer.scores.v1"
    ].result(10)

    def differences() -> list[str]:
        try:
            inspect_topics(admin, settings)
        except TopicMismatchError as error:
            return error.differences
        return []

    # The controller has them; a moment later the broker tells of them.
    assert eventually(differences)
    (difference,) = differences()
    assert f"4 ({topics.prefix}customer.scores.v1)" in difference


def test_fewer_copies_than_configured_are_refused_and_more_are_not(deployment: Configuration) -> None:
    admin = connect_admin(deployment.kafka)
    with pytest.raises(TopicMismatchError, match=r"1 copy of each partition, topics\.replication is 3 .* 15 more\)"):
        inspect_topics(admin, msgspec.structs.replace(deployment.topics, replication=3))


def test_more_copies_than_there_are_brokers_are_a_matter_of_configuration(topics: Topics) -> None:
    admin = connect_admin(KafkaSettings(bootstrap_servers=topics.bootstrap_servers))
    with pytest.raises(ConfigurationError, match=r"topics\.replication = 3: "):
        create_topics(admin, TopicSettings(prefix=topics.prefix, replication=3))


def test_a_topic_that_refuses_every_record_is_found(topics: Topics) -> None:
    name = topics.create("customer.alerts.v1", partitions=4, settings={"min.insync.replicas": "2"})
    settings = TopicSettings(prefix=topics.prefix)
    admin = connect_admin(KafkaSettings(bootstrap_servers=topics.bootstrap_servers))

    def differences() -> list[str]:
        try:
            inspect_topics(admin, settings)
        except TopicMismatchError as error:
            return error.differences
        return []

    assert eventually(differences)
    (difference,) = differences()
    assert "min.insync.replicas=2" in difference
    assert f"--entity-name {name} --add-config" in difference
    assert difference.endswith("min.insync.replicas=1`")


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
    (difference,) = caught.value.differences
    assert difference == (
        f"topic {prefix}customer.events.v1 has message.timestamp.type=CreateTime, retention.ms=1000: run "
        "`kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name "
        f"{prefix}customer.events.v1 --add-config message.timestamp.type=LogAppendTime,retention.ms=34560000000`"
    )
    present = [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)]
    assert present == [prefix + "customer.events.v1"]


def test_a_broker_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.operations.brokers.ANSWER_WITHIN", 0.5)
    with pytest.raises(KafkaUnreachableError, match="start one with `tidemark up`"):
        connect_admin(KafkaSettings(bootstrap_servers="127.0.0.1:1"))

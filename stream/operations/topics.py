"""Creates the topics that Tidemark reads and writes, and refuses topics that are not what they must be.

What a topic must be like stands in `stream.contracts.topics`. It never changes or deletes a topic. Called by
`tidemark topics`, and by everything that starts on a cluster of its own (demo, up, tests).
"""

from __future__ import annotations

import time
from typing import Final, Literal, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from stream.configuration.settings import TopicSettings
from stream.contracts.topics import TOPICS, TopicSpec, changelog
from stream.operations.brokers import RETRY_SECONDS

STATEFUL_ROLES: Final = ("profiles", "decisions")
CREATE_WITHIN: Final = 30.0
"""Seconds for the broker to create all topics."""


class TopicMismatchError(ValueError):
    """Topics exist that are not what they must be.

    Attributes:
        differences: one sentence each, with what to do.
    """

    def __init__(self, differences: list[str]) -> None:
        super().__init__("; ".join(differences))
        self.differences = differences


class WantedTopic(NamedTuple):
    """A topic as it must be on the broker."""

    name: str
    """On the broker."""
    spec: TopicSpec
    partitions: int
    replication: int


class TopicState(NamedTuple):
    """What became of a topic."""

    topic: WantedTopic
    state: Literal["created", "exists", "missing"]


def wanted_topics(settings: TopicSettings) -> list[WantedTopic]:
    """Every topic of a deployment, the changelogs of its roles included."""
    names = settings.topic_names()
    physical = [(names.physical(spec.name), spec) for spec in TOPICS.values()]
    physical += [(names.changelog(role), changelog(role)) for role in STATEFUL_ROLES]
    return [
        WantedTopic(name, spec, spec.partitions or settings.partitions, settings.replication) for name, spec in physical
    ]


def inspect_topics(admin: AdminClient, settings: TopicSettings) -> list[TopicState]:
    """Which topics exist, without creating any.

    Raises:
        TopicMismatchError: some exist and are different.
    """
    wanted = wanted_topics(settings)
    present = admin.list_topics(timeout=CREATE_WITHIN).topics
    existing = [topic for topic in wanted if topic.name in present]
    differences: list[str] = []
    for topic in existing:
        partitions = len(present[topic.name].partitions)
        if partitions != topic.partitions:
            differences.append(_wrong_partitions(topic, partitions))
    differences += _wrong_settings(admin, existing)
    if differences:
        raise TopicMismatchError(differences)
    return [TopicState(topic, "exists" if topic in existing else "missing") for topic in wanted]


def create_topics(admin: AdminClient, settings: TopicSettings) -> list[TopicState]:
    """Create the topics that do not exist. Doing it again does nothing.

    Raises:
        TopicMismatchError: some exist and are different; none is created then.
        KafkaException: the broker refused, for instance a replication that it has not brokers enough for.
    """
    states = inspect_topics(admin, settings)
    missing = [state.topic for state in states if state.state == "missing"]
    if not missing:
        return states
    created = admin.create_topics(
        [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication,
                config=topic.spec.settings(),
            )
            for topic in missing
        ],
        operation_timeout=CREATE_WITHIN,
    )
    for future in created.values():
        try:
            future.result()
        except KafkaException as error:
            # Somebody else created it between the look and the creation: the look below says whether it is right.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    _await_leaders(admin, {topic.name for topic in missing})
    inspect_topics(admin, settings)
    return [TopicState(state.topic, "created" if state.topic in missing else "exists") for state in states]


def _await_leaders(admin: AdminClient, names: set[str]) -> None:
    """The controller creates a topic; a moment later the brokers know of it, and who leads its partitions."""
    give_up = time.monotonic() + CREATE_WITHIN
    while time.monotonic() < give_up:
        known = admin.list_topics(timeout=CREATE_WITHIN).topics
        partitions = [each for name in names if name in known for each in known[name].partitions.values()]
        if names <= known.keys() and all(each.leader >= 0 and each.error is None for each in partitions):
            return
        time.sleep(RETRY_SECONDS)


def _wrong_partitions(topic: WantedTopic, partitions: int) -> str:
    difference = f"topic {topic.name} has {partitions} partitions, it must have {topic.partitions}"
    if topic.spec.partitions is not None:
        return f"{difference}: delete it, and `tidemark topics` creates it again"
    return (
        f"{difference}: set topics.partitions = {partitions} if every topic has as many (customers lie on the same "
        "partition of each), or another topics.prefix"
    )


def _wrong_settings(admin: AdminClient, topics: list[WantedTopic]) -> list[str]:
    resources = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in topics}
    if not resources:
        return []
    differences: list[str] = []
    for resource, future in admin.describe_configs(list(resources), request_timeout=CREATE_WITHIN).items():
        topic = resources[resource]
        present = {name: entry.value for name, entry in future.result().items()}
        for name, value in topic.spec.settings().items():
            if present.get(name) != value:
                differences.append(
                    f"topic {topic.name} has {name}={present.get(name)}, it must have {value}: alter it with "
                    f"`kafka-configs.sh --alter --entity-type topics --entity-name {topic.name} "
                    f"--add-config {name}={value}`"
                )
    return differences

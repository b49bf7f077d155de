"""Creates the topics that Tidemark reads and writes, and refuses topics that are not what they must be.

What a topic must be like stands in `stream.contracts.topics`. It never changes or deletes a topic. Called by
`tidemark topics`, and by everything that starts on a cluster of its own (demo, up, tests).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from stream.configuration.resolve import ConfigurationError
from stream.configuration.settings import TopicSettings
from stream.contracts.topics import TOPICS, TopicSpec, changelog
from stream.operations.brokers import RETRY_SECONDS, MissingTopicError, explained

STATEFUL_ROLES: Final = ("profiles", "decisions")
CREATE_WITHIN: Final = 30.0
"""Seconds for the broker to create all topics."""


class TopicMismatchError(ValueError):
    """Topics exist that are not what they must be. The message is the first difference.

    Attributes:
        differences: one sentence each, with what to do.
    """

    def __init__(self, differences: list[str]) -> None:
        more = f" ({len(differences) - 1} more: `tidemark topics --check` shows all)" if len(differences) > 1 else ""
        super().__init__(differences[0] + more)
        self.differences = differences


class WantedTopic(NamedTuple):
    """A topic as it must be on the broker."""

    name: str
    """On the broker."""
    spec: TopicSpec
    partitions: int
    replication: int


class _Shape(NamedTuple):
    partitions: int
    copies: int
    """Of the partition that has fewest."""


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


def inspect_topics(admin: AdminClient, settings: TopicSettings, more: Sequence[WantedTopic] = ()) -> list[TopicState]:
    """Which topics exist, without creating any.

    Args:
        more: topics beside those of every deployment.

    Raises:
        TopicMismatchError: some exist and are different.
        AccessError: this user may not look at them.
    """
    wanted = [*wanted_topics(settings), *more]
    shapes = _shapes(admin, [topic.name for topic in wanted])
    existing = [topic for topic in wanted if topic.name in shapes]
    differences = [
        *_wrong_partitions(settings, [(topic, shapes[topic.name]) for topic in existing]),
        *_too_few_copies(settings, [(topic, shapes[topic.name]) for topic in existing]),
        *_wrong_settings(admin, [(topic, shapes[topic.name]) for topic in existing]),
    ]
    if differences:
        raise TopicMismatchError(differences)
    return [TopicState(topic, "exists" if topic in existing else "missing") for topic in wanted]


def require_topics(admin: AdminClient, names: list[str]) -> None:
    """See that topics are there, by their names on the broker.

    Raises:
        MissingTopicError: one is not.
        AccessError: this user may not know.
    """
    shapes = _shapes(admin, names)
    for name in names:
        if name not in shapes:
            raise MissingTopicError(f"topic {name} does not exist: create the topics with `tidemark topics`")


def create_topics(admin: AdminClient, settings: TopicSettings, more: Sequence[WantedTopic] = ()) -> list[TopicState]:
    """Create the topics that do not exist. Doing it again does nothing.

    Args:
        more: topics beside those of every deployment.

    Raises:
        TopicMismatchError: some exist and are different; none is created then.
        ConfigurationError: there are fewer brokers than copies are wanted.
        AccessError: this user may not create them.
    """
    states = inspect_topics(admin, settings, more)
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
    for name, future in created.items():
        try:
            future.result()
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError.INVALID_REPLICATION_FACTOR:
                raise ConfigurationError(
                    f"topics.replication = {settings.replication}: {error.args[0].str()}"
                ) from error
            # Somebody else created it between the look and the creation: the look below says whether it is right.
            if code != KafkaError.TOPIC_ALREADY_EXISTS:
                raise explained(error, name) from error
    _await_leaders(admin, {topic.name for topic in missing})
    inspect_topics(admin, settings, more)
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


def _shapes(admin: AdminClient, names: list[str]) -> dict[str, _Shape]:
    """What those topics are like that exist, by name."""
    described = admin.describe_topics(TopicCollection(names), request_timeout=CREATE_WITHIN)
    shapes: dict[str, _Shape] = {}
    for name, future in described.items():
        try:
            partitions = future.result().partitions
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise explained(error, name) from error
        else:
            shapes[name] = _Shape(len(partitions), min((len(each.replicas) for each in partitions), default=0))
    return shapes


def _wrong_partitions(settings: TopicSettings, existing: list[tuple[WantedTopic, _Shape]]) -> list[str]:
    differences: list[str] = []
    by_count: dict[int, list[str]] = {}
    for topic, shape in existing:
        if topic.spec.partitions is None:
            by_count.setdefault(shape.partitions, []).append(topic.name)
        elif shape.partitions != topic.partitions:
            differences.append(
                f"topic {topic.name} has {shape.partitions} partitions, it must have {topic.partitions}: delete it, "
                "and `tidemark topics` creates it again"
            )
    if len(by_count) > 1:
        counts = ", ".join(f"{count} ({_some(names)})" for count, names in sorted(by_count.items()))
        differences.append(
            f"topics have different numbers of partitions: {counts}; a customer must lie on the same partition of "
            "each: delete those that can be made anew, or set another topics.prefix"
        )
    elif by_count and (count := next(iter(by_count))) != settings.partitions:
        differences.append(
            f"topics have {count} partitions, topics.partitions is {settings.partitions} ({_some(by_count[count])}): "
            f"set topics.partitions = {count}, or another topics.prefix"
        )
    return differences


def _too_few_copies(settings: TopicSettings, existing: list[tuple[WantedTopic, _Shape]]) -> list[str]:
    """More copies than asked for do no harm."""
    by_copies: dict[int, list[str]] = {}
    for topic, shape in existing:
        if shape.copies < topic.replication:
            by_copies.setdefault(shape.copies, []).append(topic.name)
    return [
        f"topics have {_copies(copies)} of each partition, topics.replication is {settings.replication} "
        f"({_some(names)}): give them more with `kafka-reassign-partitions.sh`, or set topics.replication = {copies}"
        for copies, names in sorted(by_copies.items())
    ]


def _wrong_settings(admin: AdminClient, existing: list[tuple[WantedTopic, _Shape]]) -> list[str]:
    asked = {ConfigResource(ResourceType.TOPIC, topic.name): (topic, shape) for topic, shape in existing}
    if not asked:
        return []
    differences: list[str] = []
    for resource, future in admin.describe_configs(list(asked), request_timeout=CREATE_WITHIN).items():
        topic, shape = asked[resource]
        try:
            present = {name: entry.value for name, entry in future.result().items()}
        except KafkaException as error:
            raise explained(error, topic.name) from error
        wanted = topic.spec.settings()
        if int(present.get("min.insync.replicas") or 1) > shape.copies:
            # Kafka takes the setting and refuses every record.
            wanted["min.insync.replicas"] = str(max(shape.copies - 1, 1))
        wrong = {name: value for name, value in wanted.items() if present.get(name) != value}
        if wrong:
            found = ", ".join(f"{name}={present.get(name)}" for name in wrong)
            right = ",".join(f"{name}={value}" for name, value in wrong.items())
            differences.append(
                f"topic {topic.name} has {found}: run `kafka-configs.sh --bootstrap-server … --alter --entity-type "
                f"topics --entity-name {topic.name} --add-config {right}`"
            )
    return differences


def _some(names: list[str]) -> str:
    """Two of the names, and how many more."""
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _copies(count: int) -> str:
    return "1 copy" if count == 1 else f"{count} copies"

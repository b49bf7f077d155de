"""What a worker asks the cluster before it begins: do its topics fit together, what is a local store stamped with?"""

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from stream.engine.processor import Processor
from stream.engine.stores.store import Stamp

_TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = 0.5


class TopicMismatch(RuntimeError):
    """Topics are missing, or their partitions do not fit together."""


class ClusterUnreachable(RuntimeError):
    """No broker answered."""


def count_partitions(admin: AdminClient, topic: str) -> int:
    """Partitions of ``topic``.

    Raises:
        TopicMismatch: it does not exist.
        ClusterUnreachable: no broker answered.
    """
    try:
        found = admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
    except KafkaException as exception:
        raise ClusterUnreachable(f"no Kafka broker answered: {exception}") from exception
    if found.error is not None or not found.partitions:
        raise TopicMismatch(f"topic {topic} is missing. Create it with `tidemark topics`")
    return len(found.partitions)


class Checked(NamedTuple):
    """What the cluster says about a processor's topics."""

    stamp: Stamp
    """For local stores."""
    partitions: int


def check_topics(admin: AdminClient, processor: Processor[Any, Any], keep_trying: Callable[[], bool]) -> Checked:
    """Compare input and changelog.

    Raises:
        TopicMismatch: with what to do.
        ClusterUnreachable: the worker was told to end while no broker answered.
    """
    wanted = [processor.input_topic, processor.changelog_topic, processor.dead_letter_topic]
    while True:
        try:
            metadata = admin.list_topics(timeout=_TIMEOUT_S)
            missing = [topic for topic in wanted if topic not in metadata.topics]
            if missing:
                raise TopicMismatch(f"topics are missing: {', '.join(missing)}. Create them with `tidemark topics`")
            changelog = TopicCollection([processor.changelog_topic])
            answers = admin.describe_topics(changelog, request_timeout=_TIMEOUT_S)
            described = answers[processor.changelog_topic].result()
            break
        except KafkaException as exception:
            if not keep_trying():
                raise ClusterUnreachable(f"no Kafka broker answered: {exception}") from exception
            time.sleep(_PAUSE_S)
    inputs = len(metadata.topics[processor.input_topic].partitions)
    changelogs = len(metadata.topics[processor.changelog_topic].partitions)
    if inputs != changelogs:
        raise TopicMismatch(
            f"topic {processor.input_topic} has {inputs} partitions, {processor.changelog_topic} has {changelogs}: "
            "a customer's state would be looked for on the wrong partition. Make the topics alike again, or run "
            f"`tidemark rebuild --role {processor.role}` to fold the log into a changelog of {inputs} partitions"
        )
    stamp = Stamp(
        cluster_id=str(metadata.cluster_id),
        changelog_topic=processor.changelog_topic,
        changelog_topic_id=str(described.topic_id),
        fold_version=processor.fold_version,
    )
    return Checked(stamp, inputs)

"""What a worker asks the cluster before it begins: do its topics fit together, what is a local store stamped with?"""

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from stream.engine.processor import Processor
from stream.engine.stores.store import Stamp

_TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = 0.2
_MISSING_S: Final = 2.0
"""A topic that was just created is not known to every broker at once."""


class TopicMismatch(RuntimeError):
    """Topics are missing, or their partitions do not fit together."""


class ClusterUnreachable(RuntimeError):
    """No broker answered."""


class Checked(NamedTuple):
    """What the cluster says about a processor's topics."""

    stamp: Stamp
    """For local stores."""
    partitions: int


def count_partitions(admin: AdminClient, topic: str) -> int:
    """Partitions of ``topic``.

    Raises:
        TopicMismatch: it does not exist.
        ClusterUnreachable: no broker answered.
    """
    try:
        return len(_topics(admin, [topic]).topics[topic].partitions)
    except KafkaException as exception:
        raise ClusterUnreachable(f"no Kafka broker answered: {exception}") from exception


def check_topics(admin: AdminClient, processor: Processor[Any, Any], keep_trying: Callable[[], bool]) -> Checked:
    """Compare input and changelog.

    Raises:
        TopicMismatch: with what to do.
        ClusterUnreachable: the worker was told to end while no broker answered.
    """
    changelog = processor.changelog_topic
    while True:
        try:
            metadata = _topics(admin, [processor.input_topic, changelog, processor.dead_letter_topic])
            answers = admin.describe_topics(TopicCollection([changelog]), request_timeout=_TIMEOUT_S)
            described = answers[changelog].result()
            break
        except KafkaException as exception:
            if not keep_trying():
                raise ClusterUnreachable(f"no Kafka broker answered: {exception}") from exception
            time.sleep(_PAUSE_S)
    inputs = len(metadata.topics[processor.input_topic].partitions)
    changelogs = len(metadata.topics[changelog].partitions)
    if inputs != changelogs:
        raise TopicMismatch(
            f"topic {processor.input_topic} has {inputs} partitions, {changelog} has {changelogs}: a customer's state "
            "would be looked for on the wrong partition. Make the topics alike again, or fold the log anew: "
            "docs/operations.md says how"
        )
    stamp = Stamp(
        cluster_id=str(metadata.cluster_id),
        changelog_topic=changelog,
        changelog_topic_id=str(described.topic_id),
        fold_version=processor.fold_version,
    )
    return Checked(stamp, inputs)


def _topics(admin: AdminClient, wanted: list[str]) -> Any:
    """The cluster's metadata, with all topics of ``wanted``.

    Raises:
        TopicMismatch: one is missing.
        KafkaException: no broker answered.
    """
    patience = time.monotonic() + _MISSING_S
    while True:
        metadata = admin.list_topics(timeout=_TIMEOUT_S)
        missing = [topic for topic in wanted if topic not in metadata.topics or not metadata.topics[topic].partitions]
        if not missing:
            return metadata
        if time.monotonic() > patience:
            raise TopicMismatch(f"topics are missing: {', '.join(missing)}. Create them with `tidemark topics`")
        time.sleep(_PAUSE_S)

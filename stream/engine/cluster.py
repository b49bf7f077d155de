"""What a worker asks the cluster before it begins: do its topics fit together, what is a local store stamped with, and
was the state made by the fold that it has?

Asked before it joins its group, so that one that has to be refused disturbs nobody. Called by ``stream.engine.worker``.
"""

import json
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.engine.clients import Properties
from stream.engine.group_offsets import GroupOffsets
from stream.engine.processor import Processor
from stream.engine.stores.store import Stamp

_TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = 0.2
_MISSING_S: Final = 2.0
"""A topic that was just created is not known to every broker at once."""
_GROUP_S: Final = 10.0
"""A group whose coordinator is not found for so long is joined unasked: the restore looks at each state again."""

FOLD_FACT: Final = "fold"
"""Names the fold version in the metadata of committed offsets."""


class TopicMismatch(RuntimeError):
    """Topics are missing, or their partitions do not fit together."""


class FoldChanged(RuntimeError):
    """The state was made by another fold. Going on with it would mix what two folds make of one log."""


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


def check_fold(
    kafka: Properties, processor: Processor[Any, Any], partitions: int, keep_trying: Callable[[], bool]
) -> None:
    """Ask with what fold the group's last commits were made, as far as they say.

    Args:
        partitions: of the input.

    Raises:
        FoldChanged: with another one than the processor's.
    """
    wanted = [TopicPartition(processor.input_topic, number) for number in range(partitions)]
    offsets = GroupOffsets(kafka, processor.group, stable=False)
    patience = time.monotonic() + _GROUP_S
    while True:
        try:
            commits = offsets.committed(wanted, _TIMEOUT_S)
            break
        except KafkaException:
            if not keep_trying() or time.monotonic() > patience:
                return
            time.sleep(_PAUSE_S)
    for commit in commits:
        written = _fold_of(commit.metadata)
        if written is not None:
            refuse_other_fold(processor, commit.partition, written)


def _fold_of(metadata: str | None) -> int | None:
    """The fold version in a commit's metadata; None where it does not say."""
    try:
        written = json.loads(metadata or "{}").get(FOLD_FACT)
    except (ValueError, AttributeError):
        return None
    return written if isinstance(written, int) else None


def refuse_other_fold(processor: Processor[Any, Any], partition: int, written: int) -> None:
    """Raises ``FoldChanged`` unless ``written`` is the processor's fold version."""
    if written != processor.fold_version:
        raise FoldChanged(
            f"{processor.input_topic}[{partition}]: the state was made by fold version {written} and this is version "
            f"{processor.fold_version}: run a build of fold version {written}, or fold the log anew "
            "(`tidemark rebuild`)"
        )


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

"""Looks again and again at how far the roles are: what they committed, what lies before them, whether they are done.

Cheaper than `status.py`, which says all there is to say once. Called by the demo and by benchmarks while they run.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import TopicPartition

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.engine.group_offsets import GroupOffsets
from stream.operations.brokers import connect_admin, ends_of, make_consumer, partitions_of
from stream.operations.ends import first_records
from stream.operations.status import INPUTS, commits_of

MARKERS: Final = 4
"""Offsets before the end of a partition from which on there may be markers of transactions alone."""


class RolePlace(NamedTuple):
    """Where a role is in its input, summed over partitions, in offsets."""

    committed: int
    end: int
    idle: bool
    """Whether nothing is left to fold."""


class Watch:
    """Asks about the same roles over and over, over connections that it keeps."""

    def __init__(self, configuration: Configuration) -> None:
        names = configuration.topics.topic_names()
        self._admin = connect_admin(configuration.kafka)
        self._consumer = make_consumer(
            configuration.kafka, "tidemark.watch", **{"enable.partition.eof": True, "fetch.wait.max.ms": 20}
        )
        kafka = client_properties(configuration.kafka)
        self._offsets = {role: GroupOffsets(kafka, names.group(role), stable=False) for role in INPUTS}
        self._places = {role: partitions_of(self._consumer, [names.physical(INPUTS[role])]) for role in INPUTS}

    def look(self, role: str) -> RolePlace:
        """Where ``role`` is now."""
        places = self._places[role]
        commits = commits_of(self._offsets[role], places)
        committed = {partition: commit.offset for partition, commit in commits.items()}
        # Behind the end for readers of committed records there may be what a worker has just committed.
        ends = {partition: end for (_, partition), end in ends_of(self._admin, places, committed=False).items()}
        behind = [
            TopicPartition(place.topic, place.partition, committed.get(place.partition, 0))
            for place in places
            if committed.get(place.partition, 0) < ends[place.partition]
        ]
        near = all(place.offset + MARKERS >= ends[place.partition] for place in behind)
        stable = ends_of(self._admin, places, committed=True)
        settled = all(stable[place.topic, place.partition] >= ends[place.partition] for place in places)
        return RolePlace(
            committed=sum(committed.values()),
            end=sum(ends.values()),
            idle=near and settled and not first_records(self._consumer, behind),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

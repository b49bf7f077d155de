"""Looks through the dead letters of a deployment: those that are open, or settled, one after the other.

It writes nothing. Called by `redrive.py`, and by `tidemark dead-letters list`, `show`, `export` and `edit`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Literal, Self

import msgspec
from confluent_kafka import TopicPartition

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.settlements import Outcome, Settlement
from stream.operations.brokers import bounds_of, connect_admin, make_consumer, partitions_of
from stream.operations.dead_letters.filters import Filter
from stream.operations.dead_letters.groups import Group, Groups
from stream.operations.dead_letters.judging import Judge
from stream.operations.dead_letters.letters import FETCHING, Letter, Place, Stretch, read_letters, topic_id, whole_topic
from stream.operations.dead_letters.settled import check_complete, read_settled, settlement_of
from stream.operations.erasures import erasures_of

State = Literal["open", "redriven", "discarded", "any"]

_GROUP: Final = "tidemark.dead-letters"


class LetterNotFound(LookupError):
    """There is no such dead letter, or none any more."""


class Listed(msgspec.Struct):
    """What was found on the dead-letter topic."""

    groups: list[Group]
    """Of the letters in the state that was asked for."""
    states: dict[str, int]
    """Letters that fit the filter, by state."""


class Survey:
    """The dead letters of a deployment as they are now. As a context it holds its connections.

    Args:
        alone: nobody else settles letters now, and not one that is settled may be missed.

    Raises:
        KafkaUnreachableError, AccessError, MissingTopicError: they cannot be read.
    """

    def __init__(self, configuration: Configuration, alone: bool = False) -> None:
        self._alone = alone
        names = configuration.topics.topic_names()
        self._topic = names.physical(topics.DEAD_LETTERS)
        self._settled_topic = names.physical(topics.SETTLEMENTS)
        self._events, self._requests = names.physical(topics.EVENTS), names.physical(topics.SCORE_REQUESTS)
        self._profiles = configuration.profiles
        self._admin = connect_admin(configuration.kafka)
        self._erasures = erasures_of(configuration)
        self._consumer = make_consumer(configuration.kafka, _GROUP, **FETCHING)
        self._settled: dict[Place, Outcome] | None = None

    def __enter__(self) -> Self:
        try:
            partitions_of(self._consumer, [self._topic, self._settled_topic])
            self._topic_id = topic_id(self._admin, self._topic)
        except BaseException:
            self._consumer.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def judge(self) -> Judge:
        """Judges the letters by the settings of the deployment."""
        counts = Counter(place.topic for place in partitions_of(self._consumer, [self._events, self._requests]))
        return Judge(self._events, self._requests, counts, self._profiles, self._erasures)

    def letters(self, wanted: Filter, state: State = "open") -> Iterator[Letter]:
        """Letters that fit, partition by partition, oldest first in each. What is settled is read at the first."""
        for letter, became in self._all(wanted):
            if state in ("any", became):
                yield letter

    def listed(self, wanted: Filter, state: State = "open") -> Listed:
        """Letters that fit, counted."""
        groups, states = Groups(), Counter[str]()
        for letter, became in self._all(wanted):
            states[became] += 1
            if state in ("any", became):
                groups.add(letter, letter.code, letter.field, letter.message)
        return Listed(groups.listed(), dict(states))

    def letter(self, place: Place) -> tuple[Letter, Settlement | None]:
        """One letter, and what became of it.

        Raises:
            LetterNotFound: there is none.
        """
        partitions = {found.partition for found in partitions_of(self._consumer, [self._topic])}
        if place.partition in partitions:
            low, high = bounds_of(self._consumer, TopicPartition(self._topic, place.partition))
            stretch = Stretch(place.partition, place.offset, place.offset + 1)
            if low <= place.offset < high:
                for letter in read_letters(self._consumer, self._topic, self._topic_id, [stretch]):
                    return letter, settlement_of(self._consumer, self._admin, self._settled_topic, letter.id)
        raise LetterNotFound(
            f"there is no dead letter {place} on {self._topic}: `tidemark dead-letters list` shows those that there are"
        )

    def _all(self, wanted: Filter) -> Iterator[tuple[Letter, State]]:
        if self._settled is None:
            if self._alone:
                check_complete(self._consumer, self._admin, self._settled_topic)
            self._settled = read_settled(self._consumer, self._admin, self._settled_topic, self._topic_id)
        stretches = whole_topic(self._consumer, self._admin, self._topic)
        for letter in read_letters(self._consumer, self._topic, self._topic_id, stretches):
            if wanted.holds(letter):
                yield letter, self._settled.get(letter.place, "open")

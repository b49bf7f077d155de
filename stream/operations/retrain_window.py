"""Reads the window that a model is trained on again: from the events topic, or from files.

What of it may be learned from is decided in ``serving.training.bounds`` and ``permission``. Called by `retrain.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from serving.history import read_events
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.emission import Rejected
from stream.contracts.events import Event
from stream.contracts.times import to_epoch_ms
from stream.operations.brokers import connect_admin, headers_of, make_consumer, read_to_end
from stream.profiles.settings import ProfileSettings
from stream.profiles.validation import read_event

_GROUP = "tidemark.retrain"


def from_log(configuration: Configuration) -> Iterator[Event | None]:
    """Every committed event that the events topic holds now; None for each that is a dead letter on the live path.

    Raises:
        KafkaUnreachableError, MissingTopicError, AccessError: the topic cannot be read.
    """
    admin = connect_admin(configuration.kafka)
    topic = configuration.topics.topic_names().physical(topics.EVENTS)
    consumer = make_consumer(configuration.kafka, _GROUP, **{"enable.auto.commit": False})
    try:
        for message in read_to_end(consumer, admin, [topic]):
            try:
                event = read_event(
                    message.value(),
                    message.key(),
                    headers_of(message),
                    message.timestamp()[1],
                    configuration.profiles,
                )
            except Rejected:
                yield None
                continue
            # Ticks tell the time to whoever follows the log; nobody did anything.
            if event.type != "tick":
                yield event
    finally:
        consumer.close()


def from_files(paths: Iterable[Path], settings: ProfileSettings) -> Iterator[Event | None]:
    """The events of files of canonical events; None for each that is a dead letter on the live path.

    Raises:
        UnreadableEvents: a line is not JSON, or not an event.
    """
    refused: Counter[str] = Counter()
    told = 0
    for event in read_events(paths, settings, refused):
        yield from [None] * (refused.total() - told)
        told = refused.total()
        yield event
    yield from [None] * (refused.total() - told)


def within(read: Iterable[Event | None], since: int, until: int) -> Iterator[Event | None]:
    """What happened in ``[since, until)``, epoch milliseconds; what was refused goes with the event before it."""
    inside = True
    for event in read:
        if event is not None:
            inside = since <= to_epoch_ms(event.time) < until
        if inside:
            yield event

"""Reads the window that a model is trained on again: from the events topic, or from files.

What of it may be learned from is decided in ``serving.training.bounds`` and ``permission``. Called by `tidemark
retrain`, and by `retrain_kept.py`, which keeps what was read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from serving.history import read_events
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.emission import Rejected
from stream.contracts.events import Event
from stream.contracts.times import to_epoch_ms, to_rfc3339
from stream.operations.brokers import connect_admin, headers_of, make_consumer, read_to_end
from stream.operations.erasures import erasures_of
from stream.profiles.settings import ProfileSettings
from stream.profiles.validation import read_event

_GROUP = "tidemark.retrain"

UNBOUNDED: Final = 1 << 62
"""Milliseconds: the end of a window that has none."""


class EventsFile(msgspec.Struct, frozen=True):
    """A file as it was when a window was read from it."""

    path: str
    bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> EventsFile:
        """The file at ``path`` as it is now.

        Raises:
            FileNotFoundError: there is none.
        """
        found = path.stat()
        return cls(str(path.absolute()), found.st_size, found.st_mtime_ns)


class WindowSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a window is read from, and which part of it was asked for."""

    files: tuple[EventsFile, ...] = ()
    """Empty: the events topic."""
    topic: str = topics.EVENTS
    since: int = 0
    """Epoch milliseconds, inclusive."""
    until: int = UNBOUNDED
    """Epoch milliseconds, exclusive."""

    def __str__(self) -> str:
        where = ", ".join(Path(file.path).name for file in self.files) or f"the topic {self.topic}"
        since = f" since {to_rfc3339(self.since)[:10]}" if self.since else ""
        return where + since + (f" until {to_rfc3339(self.until)[:10]}" if self.until < UNBOUNDED else "")


def source_of(configuration: Configuration, files: Iterable[Path], since: int, until: int) -> WindowSource:
    """The window of ``files``, or of the events topic where there are none.

    Raises:
        FileNotFoundError: a file is not there.
    """
    return WindowSource(
        files=tuple(map(EventsFile.of, files)),
        topic=configuration.topics.topic_names().physical(topics.EVENTS),
        since=since,
        until=until,
    )


def from_log(configuration: Configuration) -> Iterator[Event | None]:
    """Every committed event that the events topic holds now, but for those before their customer's erasure; None for
    each that is a dead letter on the live path.

    Raises:
        KafkaUnreachableError, MissingTopicError, AccessError: the topic cannot be read.
    """
    admin = connect_admin(configuration.kafka)
    topic = configuration.topics.topic_names().physical(topics.EVENTS)
    erasures = erasures_of(configuration)
    consumer = make_consumer(configuration.kafka, _GROUP, **{"enable.auto.commit": False})
    try:
        for message in read_to_end(consumer, admin, [topic]):
            if erasures.before(message.key() or b"", message.partition() or 0, message.offset() or 0):
                continue
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

"""Which dead letters are meant: by code, field, origin, time, or one by one.

Pure. Whether a letter is open is not asked here. Called by the operations of this package, filled by the command line.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, get_args

import msgspec

from stream.configuration.settings import TopicSettings
from stream.contracts.emission import DeadLetterCode, Origin
from stream.operations.dead_letters.letters import FOREIGN, Letter, Place
from stream.operations.names import find_topic

CODES: Final = (*get_args(DeadLetterCode), FOREIGN)

_INDEX: Final = re.compile(r"\[\d+\]")
_ORIGIN: Final = re.compile(r"(?P<topic>[^/]+)(?:/(?P<partition>\d+)(?:/(?P<first>\d+)(?:-(?P<last>\d+))?)?)?")
_PLACE: Final = re.compile(r"(\d+):(\d+)")


class InvalidFilter(ValueError):
    """Nothing can be meant by it; the message says what is expected."""


class OriginRange(NamedTuple):
    """Where refused records lay."""

    topic: str
    """Physical name."""
    partition: int | None = None
    first: int | None = None
    last: int | None = None

    def holds(self, origin: Origin) -> bool:
        return (
            origin.topic == self.topic
            and self.partition in (None, origin.partition)
            and (self.first is None or self.first <= origin.offset)
            and (self.last is None or origin.offset <= self.last)
        )


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Letters that fit everything that is given; of several codes, fields, origins or places, one."""

    codes: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    """Paths; ``[*]`` stands for any index."""
    origins: tuple[OriginRange, ...] = ()
    since: int | None = None
    """Refused then or later, epoch milliseconds."""
    until: int | None = None
    """Refused before then."""
    places: frozenset[Place] = frozenset()
    """One by one."""

    def holds(self, letter: Letter) -> bool:
        return (
            (not self.places or letter.place in self.places)
            and (not self.codes or letter.code in self.codes)
            and (not self.fields or letter.field in self.fields or any_index(letter.field) in self.fields)
            and (self.since is None or letter.refused_at >= self.since)
            and (self.until is None or letter.refused_at < self.until)
            and (not self.origins or (letter.verdict is not None and self._from_there(letter.verdict.origin)))
        )

    def _from_there(self, origin: Origin) -> bool:
        return any(place.holds(origin) for place in self.origins)

    @property
    def everything(self) -> bool:
        """Whether nothing is given, so that every letter fits."""
        return self == Filter()


def any_index(field: str) -> str:
    """The path with ``[*]`` for every index, so that lines of an order count as one field."""
    return _INDEX.sub("[*]", field)


def check_code(text: str) -> str:
    """The code that ``text`` names.

    Raises:
        InvalidFilter: there is none.
    """
    code = text.replace("-", "_")
    if code not in CODES:
        raise InvalidFilter(f"there is no code {text!r}: it is one of {', '.join(CODES)}")
    return code


def read_origin(text: str, settings: TopicSettings) -> OriginRange:
    """The origin in ``TOPIC[/PARTITION[/OFFSET or /FIRST-LAST]]``.

    Raises:
        InvalidFilter: it is none.
        UnknownTopicError: there is no such topic.
    """
    found = _ORIGIN.fullmatch(text)
    if found is None:
        raise InvalidFilter(f"{text!r} is no origin: TOPIC, TOPIC/PARTITION, or TOPIC/PARTITION/FIRST-LAST")
    first = None if found["first"] is None else int(found["first"])
    return OriginRange(
        find_topic(found["topic"], settings).physical,
        None if found["partition"] is None else int(found["partition"]),
        first,
        first if found["last"] is None else int(found["last"]),
    )


def read_place(text: str) -> Place:
    """The place in ``PARTITION:OFFSET``.

    Raises:
        InvalidFilter: it is none.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidFilter(f"{text!r} is no dead letter: PARTITION:OFFSET, as `tidemark dead-letters list` shows it")
    return Place(int(found[1]), int(found[2]))

"""What of a customer the topics hold: every one is read back from its beginning to its end.

Uncommitted records too: what was rolled back lies in the log all the same. It writes nothing. Called by `erase.py` for
the dry run, for the report, and for the check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal

import msgspec
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from stream.configuration.settings import KafkaSettings
from stream.contracts.times import LATEST_MS
from stream.operations.brokers import ANSWER_WITHIN, bounds_of, ends_of, make_consumer, partitions_of
from stream.operations.erasing.dates import Keeping, keeping_of
from stream.operations.erasing.naming import Naming
from stream.operations.history.reading import GROUP, records

_NEVER: Final = LATEST_MS

Progress = Callable[[str, int, int], None]
"""Called with the topic that is read, how much of it, and of how much."""

State = Literal["nothing", "goes", "overdue", "kept", "later"]


class Held(msgspec.Struct, kw_only=True):
    """What one topic holds of a customer. Times are epoch milliseconds."""

    topic: str
    """Physical name."""
    compacted: bool
    values: int = 0
    """On a topic with retention, records that go by it; on a compacted one, values that a null follows."""
    nulls: int = 0
    """Records that say that there is nothing any more."""
    kept: int = 0
    """Values of a compacted topic that no null follows: no erasure has reached them."""
    later: int = 0
    """Records of the time after the erasure."""
    oldest: int = 0
    """When the oldest of ``values`` was appended."""
    values_go_by: int | None = None
    """When the last of ``values`` is gone at the latest; None where there are none."""
    nulls_go_by: int | None = None
    """The same of ``nulls``."""
    for_ever: bool = False
    """The topic's retention never ends."""

    def state(self, now: int) -> State:
        """How it stands."""
        if self.kept:
            return "kept"
        if self.for_ever or any(by is not None and by < now for by in (self.values_go_by, self.nulls_go_by)):
            return "overdue"
        if self.values or self.nulls:
            return "goes"
        return "later" if self.later else "nothing"


class Found:
    """Reads topics for one customer.

    Args:
        forgotten: epoch milliseconds by topic: what was appended later is of the time after the erasure. A topic that
            is not named knows no such time.
    """

    def __init__(self, kafka: KafkaSettings, admin: AdminClient, naming: Naming, forgotten: Mapping[str, int]) -> None:
        self._kafka = kafka
        self._admin = admin
        self._naming = naming
        self._forgotten = forgotten

    def held(self, topics: Iterable[str], progress: Progress | None = None) -> list[Held]:
        """What the topics hold, by their physical names, in order.

        Raises:
            MissingTopicError, KafkaUnreachableError, AccessError, KafkaException: they cannot be read.
        """
        names = list(topics)
        keeping = self._keeping(names)
        consumer = make_consumer(
            self._kafka,
            GROUP,
            **{"auto.offset.reset": "error", "fetch.wait.max.ms": 20, "isolation.level": "read_uncommitted"},
        )
        try:
            return [self._topic(consumer, name, keeping[name], progress) for name in names]
        finally:
            consumer.close()

    def _topic(self, consumer: Consumer, topic: str, keeping: Keeping, progress: Progress | None) -> Held:
        held = Held(topic=topic, compacted=keeping.compacted)
        places = partitions_of(consumer, [topic])
        ends = ends_of(self._admin, places, committed=False)
        for place in places:
            low, _ = bounds_of(consumer, place)
            end = ends[topic, place.partition]
            told = None if progress is None else _about(progress, topic)
            seen = _Seen(self._naming)
            for message in records(consumer, topic, place.partition, low, end, told):
                seen.take(message.key(), message.value(), message.timestamp()[1])
            if keeping.compacted:
                self._compacted(held, keeping, seen)
            else:
                self._deleted(held, keeping, seen)
        return held

    def _deleted(self, held: Held, keeping: Keeping, seen: _Seen) -> None:
        for appended, _ in seen.records():
            # What the erasure itself has made may be of the same millisecond, and goes by retention too.
            if appended > self._forgotten.get(held.topic, _NEVER):
                held.later += 1
                continue
            held.values += 1
            held.oldest = min(appended, held.oldest or appended)
            by = keeping.deleted_by(appended)
            if by is None:
                held.for_ever = True
            else:
                held.values_go_by = max(by, held.values_go_by or 0)

    def _compacted(self, held: Held, keeping: Keeping, seen: _Seen) -> None:
        for of_key in seen.by_key.values():
            last_null = max((at for at, (_, is_null) in enumerate(of_key) if is_null), default=-1)
            for at, (appended, is_null) in enumerate(of_key):
                if is_null:
                    held.nulls += 1
                    held.nulls_go_by = max(keeping.null_gone_by(appended), held.nulls_go_by or 0)
                elif at < last_null:
                    held.values += 1
                    held.oldest = min(appended, held.oldest or appended)
                    by = keeping.cleaned_by(of_key[last_null][0])
                    held.values_go_by = max(by, held.values_go_by or 0)
                # A null may be cleaned away, and what comes after it written with it; what came before never was.
                elif appended >= self._forgotten.get(held.topic, _NEVER):
                    held.later += 1
                else:
                    held.kept += 1

    def _keeping(self, topics: list[str]) -> dict[str, Keeping]:
        asked = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
        described = self._admin.describe_configs(asked, request_timeout=ANSWER_WITHIN)
        return {
            resource.name: keeping_of({name: entry.value for name, entry in future.result(ANSWER_WITHIN).items()})
            for resource, future in described.items()
        }


class _Seen:
    """The records of one partition that are about the customer: when each was appended, and whether it is a null."""

    def __init__(self, naming: Naming) -> None:
        self.by_key: dict[bytes, list[tuple[int, bool]]] = {}
        self._naming = naming

    def take(self, key: bytes | None, value: bytes | None, appended: int) -> None:
        # A null names nobody, so its key tells, once a value under it was the customer's.
        if self._naming(key, value) or (value is None and key in self.by_key):
            self.by_key.setdefault(key or b"", []).append((appended, value is None))

    def records(self) -> Iterator[tuple[int, bool]]:
        for of_key in self.by_key.values():
            yield from of_key


def _about(progress: Progress, topic: str) -> Callable[[int, int], None]:
    return lambda done, of: progress(topic, done, of)

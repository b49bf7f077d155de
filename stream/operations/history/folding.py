"""A customer's events and timers, folded again step by step: what each changed, and what was asked because of it.

Called by `explaining.py`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from stream.configuration.settings import Configuration
from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.emission import Rejected
from stream.contracts.events import Event
from stream.engine.position import HEADER_BYTES
from stream.engine.processor import Record
from stream.operations.history.fields import NameOf, differences, told
from stream.operations.history.refold import Refold, Step
from stream.operations.history.timeline import Asked, Change, Fired, Happened
from stream.operations.rendering import event_detail
from stream.profiles import codec
from stream.profiles.profile import Profile
from stream.workers.erased import Erasures
from stream.workers.process import VERSION
from stream.workers.profiles import ProfilesProcessor

UNREADABLE = "unreadable"
"""The type of an event that cannot be read."""


class CustomerFold:
    """The fold of one customer's events.

    Args:
        partition, partitions: of the events topic.
        erasures: what lies before one is not told.
        name_of: names items in what has changed.

    Attributes:
        entries: in the order of the fold.
    """

    def __init__(
        self,
        configuration: Configuration,
        key: bytes,
        partition: int,
        partitions: int,
        erasures: Erasures,
        name_of: NameOf,
    ) -> None:
        self.entries: list[Happened | Fired] = []
        names = configuration.topics.topic_names()
        self._key = key
        self._name_of = name_of
        self._requests = names.physical(topics.SCORE_REQUESTS)
        self._processor = ProfilesProcessor(names, configuration.profiles, partitions, VERSION, erasures)
        self._duplicates = 0
        self._record: Record | None = None
        self._refold = Refold(
            self._processor,
            partition,
            configuration.engine.max_output_bytes,
            lambda each: each == key,
            self._watch,
        )

    def take(self, record: Record) -> None:
        """Fold the next record of the partition, whosever it is."""
        self._record = record
        self._refold.take(record)

    def profile(self) -> dict[str, Any] | None:
        """The state now, by field."""
        framed = self._refold.state(self._key)
        return None if framed is None else told(codec.decode(framed[HEADER_BYTES:]), self._name_of)

    def _watch(self, step: Step) -> None:
        changes, asked = self._changes(step), self._asked(step)
        _, partition, offset = step.origin
        if step.due:
            self.entries.append(Fired(step.due, partition, offset, changes, asked))
            return
        record = self._record
        assert record is not None  # noqa: S101 - for the type checker: steps are told while a record is taken
        event = self._event(record)
        is_duplicate = self._processor.duplicates > self._duplicates
        self._duplicates = self._processor.duplicates
        outcome, message = "duplicate" if is_duplicate else "folded", ""
        if step.refusal is not None:
            outcome, message = step.refusal.code, _reason(step.refusal)
        elif event is not None and event.type == "erase":
            outcome = "erased"
        self.entries.append(
            Happened(
                at=event.time if event is not None and isinstance(event.time, int) else record.append_time,
                partition=partition,
                offset=offset,
                appended_at=record.append_time,
                type=UNREADABLE if event is None else event.type,
                event_id="" if event is None else event.event_id,
                detail="" if event is None else event_detail(event),
                outcome=outcome,
                message=message,
                changes=changes,
                asked=asked,
            )
        )

    def _event(self, record: Record) -> Event | None:
        """What the record says, as far as it can be read; its time is epoch milliseconds where it can be believed."""
        try:
            return self._processor.parse(record).payload.event
        except Rejected:
            pass
        try:
            return messages.decode_event(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _changes(self, step: Step) -> list[Change]:
        if step.before == step.after:
            return []
        before, after = (Profile() if state is None else codec.decode(state) for state in (step.before, step.after))
        return [Change(*each) for each in differences(before, after, self._name_of)]

    def _asked(self, step: Step) -> list[Asked]:
        found = []
        for output in step.outputs:
            if output.topic == self._requests and output.key == self._key:
                request = messages.decode_score_request(output.value or b"")
                found.append(
                    Asked(
                        kind=request.kind,
                        request_id=request.request_id,
                        trigger=request.trigger,
                        as_of=request.as_of,
                        first_offset=request.first_offset,
                        last_offset=request.last_offset,
                    )
                )
        return found


def _reason(refusal: Rejected) -> str:
    return refusal.message + (f" ({refusal.field})" if refusal.field else "")

"""Reads the log for the report: alerts of both arms to their ends, then what their customers did, to the end.

The ends are asked for once, before anything is read, and only what was committed counts. What is compared and how
stands in `cohort.py`, `outcomes.py` and `report.py`. Called by `tidemark campaigns report`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from confluent_kafka import Consumer, Message, TopicPartition

from stream.configuration.settings import Configuration
from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.emission import Rejected
from stream.contracts.partitioning import partition_for
from stream.contracts.times import to_rfc3339
from stream.operations.brokers import ANSWER_WITHIN, bounds_of, connect_admin, partitions_of, settled_ends
from stream.operations.campaigns.cohort import Cohort, Unit
from stream.operations.campaigns.outcomes import CustomerLog
from stream.operations.campaigns.report import By, Followed, Report, campaigns
from stream.operations.erasures import erasures_of
from stream.operations.history.reading import open_consumer, record_of, records
from stream.workers.erased import Erasures
from stream.workers.process import VERSION
from stream.workers.profiles import ProfilesProcessor

_ALERTS: Final = (topics.ALERTS, topics.ALERTS_HOLDOUT)

Progress = Callable[[str, int, int], None]
"""Called with what is read, how many offsets are behind, and of how many."""


class NothingRaised(LookupError):
    """No customer was alerted for the first time in the time that was asked for."""


class Asked(NamedTuple):
    """What the report is to be of."""

    since: int | None = None
    """Epoch milliseconds; first raises from then on. None: all."""
    until: int | None = None
    """Epoch milliseconds; first raises before that."""
    days: int | None = None
    """Length of the windows; None: the horizon of each alert."""
    detect: float | None = None
    """The difference in the share who bought that is to be seen."""
    bys: Sequence[By] = ("kind", "segment", "month")


class _Span(NamedTuple):
    """Part of a partition."""

    place: TopicPartition
    low: int
    """Offset of the first record that is kept."""
    start: int
    end: int
    """Left out."""


def report(configuration: Configuration, asked: Asked, progress: Progress | None = None) -> Report:
    """The arms of every draw, compared.

    Raises:
        NothingRaised: nobody was alerted for the first time in that time.
        MissingTopicError, KafkaUnreachableError, AccessError: Kafka cannot say.
    """
    consumer = open_consumer(configuration.kafka)
    try:
        return _Reading(configuration, consumer, asked, progress).reported()
    finally:
        consumer.close()


class _Reading:
    """One report.

    Args:
        consumer: for one partition after the other.
    """

    def __init__(
        self, configuration: Configuration, consumer: Consumer, asked: Asked, progress: Progress | None
    ) -> None:
        self._configuration = configuration
        self._consumer = consumer
        self._asked = asked
        self._progress = progress
        names = configuration.topics.topic_names()
        self._alerts = partitions_of(consumer, [names.physical(logical) for logical in _ALERTS])
        self._events = partitions_of(consumer, [names.physical(topics.EVENTS)])
        self._ends = settled_ends(connect_admin(configuration.kafka), [*self._alerts, *self._events])
        self._erasures = erasures_of(configuration)
        self._fold = ProfilesProcessor(names, configuration.profiles, len(self._events), VERSION, self._erasures)

    def reported(self) -> Report:
        asked, settings = self._asked, self._configuration.profiles
        cohort = Cohort(asked.days, self._configuration.policies.high_value_from)
        for message in self._messages("alerts", self._spans(self._alerts)):
            cohort.take(messages.decode_alert_event(message.value() or b"").data)
        units, left_out = cohort.units()
        units, gone = self._selected(units)
        left_out["erased"] = gone
        if not units:
            raise NothingRaised(_nobody(asked, left_out))
        own: dict[bytes, list[Unit]] = {}
        for unit in units:
            own.setdefault(unit.customer_id.encode(), []).append(unit)
        logs = {key: CustomerLog(settings, drawn) for key, drawn in own.items()}
        begins, reached = self._followed(logs, min(unit.raised_at for unit in units))
        followed, places = [], set()
        for unit in units:
            place = partition_for(unit.customer_id.encode(), len(self._events))
            places.add(place)
            if unit.raised_at < begins[place]:
                left_out["raised before the events that are kept"] += 1
                continue
            over = unit.ends_at <= reached[place]
            followed.append(Followed(unit, logs[unit.customer_id.encode()].outcome(unit) if over else None))
        if not followed:
            raise NothingRaised(_nobody(asked, left_out))
        return Report(
            currency=settings.currency,
            days=asked.days,
            detect=asked.detect,
            until=to_rfc3339(min(reached[place] for place in places)),
            campaigns=campaigns(followed, asked.bys, asked.detect),
            customers_left_out=dict(+left_out),
            alerts_left_out=dict(+cohort.alerts_left_out),
        )

    def _selected(self, units: list[Unit]) -> tuple[list[Unit], int]:
        """Those of the time that was asked for, without those who were erased since, and how many these are."""
        since, until = self._asked.since or 0, self._asked.until
        wanted = [unit for unit in units if since <= unit.raised_at and (until is None or unit.raised_at < until)]
        kept = [unit for unit in wanted if not _erased(unit, self._erasures)]
        return kept, len(wanted) - len(kept)

    def _followed(self, logs: dict[bytes, CustomerLog], raised_from: int) -> tuple[dict[int, int], dict[int, int]]:
        """Hand every customer their events; by partition, raises from when on are followed by all that came, and how
        far time has come."""
        tolerance = self._configuration.profiles.future_tolerance_ms
        # An event is at most so much ahead of the broker's clock: earlier records hold nothing that came after a raise.
        asked = [
            TopicPartition(place.topic, place.partition, max(0, raised_from - tolerance)) for place in self._events
        ]
        found = {place.partition: place.offset for place in self._consumer.offsets_for_times(asked, ANSWER_WITHIN)}
        spans = self._spans(self._events, found)
        lost = {span.place.partition for span in spans if 0 < span.low == span.start}
        begins, reached = dict.fromkeys(found, 0), dict.fromkeys(found, 0)
        for message in self._messages("events", spans):
            record = record_of(message)
            if record.partition in lost:
                lost.remove(record.partition)
                begins[record.partition] = record.append_time + tolerance
            try:
                parsed = self._fold.parse(record)
            except Rejected:
                continue
            reached[record.partition] = max(reached[record.partition], parsed.time)
            log = logs.get(parsed.key) if parsed.key is not None else None
            if log is not None:
                log.take(parsed.payload.event, parsed.time, parsed.payload.redriven)
        return begins, reached

    def _spans(self, places: Sequence[TopicPartition], starts: dict[int, int] | None = None) -> list[_Span]:
        """What is to be read of some partitions.

        Args:
            starts: offsets by partition, negative for the end; None: all that is kept.
        """
        spans = []
        for place in places:
            low, _ = bounds_of(self._consumer, place)
            end = self._ends[place.topic, place.partition]
            start = low if starts is None else starts[place.partition]
            spans.append(_Span(place, low, end if start < 0 else max(low, start), end))
        return spans

    def _messages(self, what: str, spans: Sequence[_Span]) -> Iterator[Message]:
        """Committed records of some partitions, one after the other."""
        behind, whole = 0, sum(max(0, span.end - span.start) for span in spans)
        for place, _, start, end in spans:
            told = None if self._progress is None else _told(self._progress, what, behind, whole)
            yield from records(self._consumer, place.topic, place.partition, start, end, told)
            behind += max(0, end - start)


def _told(progress: Progress, what: str, behind: int, whole: int) -> Callable[[int, int], None]:
    return lambda done, of: progress(what, behind + done, whole)


def _erased(unit: Unit, erasures: Erasures) -> bool:
    return erasures.before(unit.customer_id.encode(), unit.events_partition, unit.events_offset)


def _nobody(asked: Asked, left_out: Counter[str]) -> str:
    when = "" if asked.since is None and asked.until is None else " in that time: choose another --from or --to"
    why = "; ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
    return f"nobody was alerted for the first time{when}" + (f" (left out: {why})" if why else "")

"""Loads events from a source onto the events topic, so that a run that was killed goes on where it was, without
doubles.

Every transaction holds a stretch of lines and the number of the next one, as the committed offset of a group that is
named after the content: a reader of committed records sees each line once, however often the run was killed. The
broker keeps that offset for `offsets.retention.minutes` (seven days by default) after the last run. Called by
`tidemark ingest` and by the demo.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream.configuration.clients import producer_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.codec import encode
from stream.operations.brokers import (
    ANSWER_WITHIN,
    FENCED,
    AccessError,
    connect_admin,
    explained,
    make_consumer,
    make_producer,
    partitions_of,
    produce,
)
from stream.operations.catalogue_items import CatalogueItems
from stream.operations.envelopes import Envelope, read_envelope
from stream.operations.loading import DEFAULT_OPTIONS, Options, Progress
from stream.operations.pacing import Pacer
from stream.operations.sources import Line, Source, SourceError, check_size

COMMIT_SECONDS: Final = 0.25
"""Longest time that a line waits for its commit, whether or not another one follows: a paced load stays live."""
COMMIT_LINES: Final = 20_000
REPORT_SECONDS: Final = 0.1
SHOWN_UNREADABLE: Final = 3
PROGRESS_GROUP: Final = "tidemark.ingest."
MESSAGE_MAX_BYTES: Final = 1_000_000
"""What librdkafka's producer takes at most (`message.max.bytes`) unless it is configured."""


class IngestError(RuntimeError):
    """The load stopped; what was committed stays, and the same command goes on behind it."""


def ingest(
    configuration: Configuration,
    source: Source,
    options: Options = DEFAULT_OPTIONS,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Progress:
    """Load ``source`` to its end.

    Raises:
        IngestError: Kafka refused, or another load of the same source took over.
        AccessError: this user may not write what a load writes.
        MissingTopicError: there are no topics yet.
        SourceError, MappingError: the source cannot be read, or a line of it is larger than Kafka takes.
    """
    load = _Load(configuration, source, options, on_progress, clock, sleep)
    try:
        return load.run()
    except KafkaException as error:
        raise load.explained(error) from error


class _Load:
    def __init__(
        self,
        configuration: Configuration,
        source: Source,
        options: Options,
        on_progress: Callable[[Progress], None],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        names = configuration.topics.topic_names()
        self._events_topic = names.physical(topics.EVENTS)
        self._catalogue_topic = names.physical(topics.CATALOGUE)
        self._kafka = configuration.kafka
        self._transaction_timeout_ms = configuration.engine.transaction_timeout_ms
        self._limit = int(producer_properties(configuration.kafka).get("message.max.bytes", MESSAGE_MAX_BYTES))
        self._source = source
        self._options = options
        self._on_progress = on_progress
        self._clock = clock
        self._sleep = sleep
        self._items = CatalogueItems()
        self._open = 0  # Events in the open transaction; 0 where none is open.
        self.progress = Progress()

    def run(self) -> Progress:
        started = self._clock()
        identity = uuid.uuid4().hex if self._source.is_stream else self._source.identity()
        name = PROGRESS_GROUP + identity
        self._producer = make_producer(
            self._kafka,
            **{
                "transactional.id": name,
                # What a killed load left open holds up every reader of committed records for so long.
                "transaction.timeout.ms": self._transaction_timeout_ms,
                "linger.ms": 5,
                "compression.type": "lz4",
            },
        )
        self._consumer = make_consumer(self._kafka, name)
        try:
            # Ends what a killed run left open, and fences it if it still lives.
            self._producer.init_transactions(ANSWER_WITHIN)
            partitions_of(self._consumer, [self._events_topic, self._catalogue_topic])
            if not self._source.is_stream and not self._options.again:
                self.progress.resumed_at = self._committed()
            if self._options.catalogue:
                self._load_catalogue()
            self._send(started)
        except BaseException:
            # Refused where none is open, or where Kafka ended it itself.
            with suppress(KafkaException):
                self._producer.abort_transaction(ANSWER_WITHIN)
            raise
        finally:
            self._consumer.close()
        self.progress.seconds = self._clock() - started
        self._on_progress(self.progress)
        return self.progress

    def explained(self, error: KafkaException) -> Exception:
        code = error.args[0].code()
        done = self.progress.resumed_at + self.progress.sent
        if code in FENCED:
            still = f"the load stood still for more than {self._transaction_timeout_ms / 1000:g} seconds"
            if self._source.is_stream:
                return IngestError(
                    f"Kafka ended the open transaction after {done:,} committed events, since {still}: "
                    "send what follows them again"
                )
            return IngestError(
                f"another load of the same source took over, or {still}: "
                "let the other one finish, or run this one again; it goes on behind what was committed"
            )
        sentence = explained(error)
        if isinstance(sentence, AccessError):
            return sentence
        return IngestError(
            f"Kafka refused after {done:,} committed events ({error.args[0].str()}): "
            "run the same command again, it goes on behind them"
        )

    def _committed(self) -> int:
        """Lines that were committed by whoever loaded this content before."""
        found = self._consumer.committed([self._place(0)], timeout=ANSWER_WITHIN)[0]
        return max(found.offset, 0)

    def _place(self, line: int) -> TopicPartition:
        # Partition 0 stands for the whole topic: the offset counts lines of the source, not records of the partition.
        return TopicPartition(self._events_topic, 0, line)

    def _load_catalogue(self) -> None:
        reader: Consumer = make_consumer(self._kafka, f"{PROGRESS_GROUP}catalogue")
        try:
            self._items.read_known(reader, connect_admin(self._kafka), self._catalogue_topic)
        finally:
            reader.close()
        if self._source.is_stream:
            return
        # All items first, so that one catalogue is in force for the whole load and the same file gives the same
        # answers.
        lines = 0
        for line in self._source.lines():
            lines = line.number + 1
            envelope = read_envelope(line.value)
            check_size(self._source, line, len(envelope.key or b"") + len(line.value), self._limit)
            self._items.see(envelope)
        self.progress.total = lines
        self._producer.begin_transaction()
        self._write_items()
        self._producer.commit_transaction(ANSWER_WITHIN)

    def _write_items(self) -> None:
        for item in self._items.take_new():
            produce(self._producer, self._catalogue_topic, key=item.item_id.encode(), value=encode(item))
            self.progress.items += 1

    def _send(self, started: float) -> None:
        self._next_line = self.progress.lines = self.progress.resumed_at
        try:
            self._send_lines(started)
        except SourceError:
            # What came before the broken place is good, and standard input will not give it again.
            self._commit()
            raise
        self._commit()

    def _send_lines(self, started: float) -> None:
        pacer = Pacer(self._options.rate, self._options.speedup)
        commit_at = reported = self._clock()
        first_sent_at: float | None = None
        for line in self._source.lines_or_pauses(COMMIT_SECONDS):
            if line is None:
                # The pause may be longer than Kafka keeps a transaction open.
                self._commit()
                continue
            if line.number < self.progress.resumed_at:
                continue
            envelope = read_envelope(line.value)
            if pacer.limited:
                first_sent_at = self._clock() if first_sent_at is None else first_sent_at
                wait = first_sent_at + pacer.due(envelope.time_ms) - self._clock()
                if wait > COMMIT_SECONDS:
                    self._commit()
                if wait > 0:
                    self._sleep(wait)
            if not self._open:
                commit_at = self._clock() + COMMIT_SECONDS
            self._send_event(line, envelope)
            now = self._clock()
            if self._open >= COMMIT_LINES or now >= commit_at:
                self._commit()
            if now - reported >= REPORT_SECONDS:
                reported = now
                self.progress.seconds = now - started
                self._on_progress(self.progress)

    def _send_event(self, line: Line, envelope: Envelope) -> None:
        if envelope.key is None:
            self.progress.unreadable += 1
            if len(self.progress.unreadable_lines) < SHOWN_UNREADABLE:
                self.progress.unreadable_lines.append(line.number + 1)
        value = line.value
        if envelope.needs_id or self._options.backfill:
            value = envelope.rewritten(value, backfill=self._options.backfill)
            self.progress.derived_ids += envelope.needs_id
        check_size(self._source, line, len(envelope.key or b"") + len(value), self._limit)
        if not self._open:
            self._producer.begin_transaction()
        if self._options.catalogue and self._source.is_stream:
            self._items.see(envelope)
            self._write_items()
        produce(self._producer, self._events_topic, key=envelope.key, value=value)
        self._open += 1
        self._next_line = line.number + 1

    def _commit(self) -> None:
        if not self._open:
            return
        if not self._source.is_stream:
            self._producer.send_offsets_to_transaction(
                [self._place(self._next_line)], self._consumer.consumer_group_metadata(), ANSWER_WITHIN
            )
        self._producer.commit_transaction(ANSWER_WITHIN)
        self.progress.sent += self._open
        self.progress.lines = self._next_line
        self._open = 0

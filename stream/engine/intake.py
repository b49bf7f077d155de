"""Takes records in: consumes as much as there is room for, folds what can be folded at once, and hands to the stage
what has to pass through it."""

import time
from typing import Final, Generic, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from stream.engine.contact import Contact
from stream.engine.entries import entry_of
from stream.engine.holdings import Holdings
from stream.engine.processor import Parsed, Processor
from stream.engine.restore import StateLost
from stream.engine.settings import EngineSettings
from stream.engine.stage import StageRunner, Ticket
from stream.engine.until import Until

S = TypeVar("S")
P = TypeVar("P")

_LONGEST_WITHOUT_POLL_S: Final = 1.0
_FENCED: Final = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()
"""A consumer's fatal error comes with a code of its own, and its cause is in the text alone."""

_log = structlog.get_logger(__name__)


class ConsumerFenced(RuntimeError):
    """Another member of the group has this worker's instance name."""


class Intake(Generic[S, P]):
    """The way in. What is in flight is bounded in records and bytes: at the bound nothing is consumed.

    Args:
        until: where the input ends; None: nowhere.

    Attributes:
        backlog: whether the log had at least as many records as there was room for when last asked.
        held_back: whether nothing is to be taken in for now.
    """

    def __init__(
        self,
        consumer: Consumer,
        processor: Processor[S, P],
        holdings: Holdings[S, P],
        settings: EngineSettings,
        stage: StageRunner[P] | None,
        contact: Contact,
        until: Until | None = None,
    ) -> None:
        self.backlog = False
        self.held_back = False
        self._until = until
        self._consumer = consumer
        self._contact = contact
        self._processor = processor
        self._holdings = holdings
        self._settings = settings
        self._stage = stage
        self._last_poll = time.monotonic()
        self._record_bytes = 1

    def take_in(self) -> None:
        """Consume once. Waits a few milliseconds where there is nothing to do.

        Raises:
            KafkaException: a fatal error.
            StateLost: the log no longer has the offset that is to be read next.
            ConsumerFenced: another member has taken this one's name.
            ConsumerLost: the consumer knows no broker any more, though there are some.
            NewerState: a record was written by a newer version.
        """
        room = self._room()
        if room == 0:
            self._wait_for_answers()
            return
        self._last_poll = time.monotonic()
        messages = self._consumer.consume(room, 0)
        self.backlog = len(messages) == room
        if not messages and self._holdings.pending and self._stage is not None:
            self._wait_for_answers()
        elif not messages:
            # consume(n) would wait its whole time-out unless n messages came; for the first one alone it does not.
            messages = self._consumer.consume(1, self._settings.poll_timeout_ms / 1000)
            if messages:
                self._contact.heard()
            else:
                self._contact.look(self._consumer)
        if self._until is not None:
            messages = self._until.within(messages, self._consumer, self._holdings)
        self.accept(messages)

    def hear(self) -> None:
        """Hear what the group has decided meanwhile, and take nothing in: before the consumer is closed. An assignment
        that close() hands over was seen to wait for ever for the answer of a group that is closed."""
        self._consumer.consume(1, 0)

    def at_end(self, partitions: int) -> bool:
        """Whether all input up to its end is folded and committed; never where it has no end.

        Args:
            partitions: that the input has.
        """
        return self._until is not None and self._until.reached(partitions, self._consumer, self._holdings)

    def _room(self) -> int:
        holdings, settings = self._holdings, self._settings
        bytes_left = settings.max_pending_bytes - holdings.pending_bytes
        room = min(
            settings.consume_batch,
            settings.max_pending_records - holdings.pending,
            # As many as fit when they are as large as those of the last batch, and one to learn that they are not.
            bytes_left // self._record_bytes + 1 if bytes_left > 0 else 0,
        )
        if self.held_back:
            room = 0
        if room <= 0 and time.monotonic() - self._last_poll >= _LONGEST_WITHOUT_POLL_S:
            # The group has to hear from us; one record over the bound does no harm.
            return 1
        return max(room, 0)

    def _wait_for_answers(self) -> None:
        pause = self._settings.poll_timeout_ms / 1000
        if self._stage is not None:
            self._stage.wait(pause)
        else:
            time.sleep(pause)

    def accept(self, messages: list[Message]) -> None:
        """Fold what was consumed where nothing lies before it, and queue the rest."""
        processor, stage = self._processor.stage, self._stage
        holdings, held_by = self._holdings, self._holdings.held
        timers = self._settings.timers_per_step
        # What has to pass through the stage waits for it, and while a culprit is searched the steps are counted.
        at_once = processor is None and holdings.suspect() is None
        work: list[tuple[P, Ticket]] = []
        now = time.monotonic()
        count = size = 0
        at, end = 0, len(messages)
        left, left_by = -1, -1
        while at < end:
            message = messages[at]
            at += 1
            if message.error() is not None:
                self._take_error(message)
                continue
            number = message.partition() or 0
            held = held_by.get(number)
            if held is None:
                holdings.located.add(number)
                continue
            held.caught_up = False
            held.last_record = now
            partition = held.partition
            ready = at_once and not held.pending and not held.guard.tripped
            # What the fast path of its own partition has just left is not shown to it once more.
            path = partition.fast_path if ready and partition.plain else None
            if path is not None and (left, left_by) != (at, number):
                taken = path.take(messages, at - 1)
                if taken >= at:
                    at = taken
                    left, left_by = at + 1, number
                    continue
            entry = entry_of(self._processor, message)
            count += 1
            size += entry.size
            if ready and partition.process(entry, timers):
                continue
            parsed = entry.parsed
            if processor is not None and type(parsed) is Parsed and processor.needs(parsed.payload):
                entry.ticket = Ticket()
                partition.hint(parsed)
                work.append((parsed.payload, entry.ticket))
            held.pending.append(entry)
            holdings.pending += 1
            holdings.pending_bytes += entry.size
        if size:
            self._record_bytes = max(1, size // count)
        if work and stage is not None:
            stage.submit(work)

    def _take_error(self, message: Message) -> None:
        error, number = message.error(), message.partition() or 0
        assert error is not None  # noqa: S101 - for the type checker: the caller has looked
        code, held = error.code(), self._holdings.held.get(number)
        if code == KafkaError._PARTITION_EOF:
            self._holdings.located.add(number)
            if held is not None:
                held.caught_up = True
        elif _FENCED in error.str():
            raise ConsumerFenced(error.str())
        elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            # A partition that is not restored yet stands at an offset that nobody wants to read.
            if held is not None:
                raise StateLost(
                    f"{self._processor.input_topic}[{number}]: the log has no offset "
                    f"{held.partition.next_offset} any more: {error}. To go on with what is left of it, fold the "
                    "log anew: docs/operations.md says how"
                )
        elif error.fatal() or code == KafkaError._FATAL:
            raise KafkaException(error)
        else:
            _log.info("consumer", error=str(error))

"""One partition between two commits: decoded states, what was touched, timers, time and outputs.

Everything here is a function of the records it is given, so it is tested without Kafka. The worker decides when to
take records in and when to commit; a roll-back puts everything back to the last commit, whose bytes the store still
holds.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

import structlog

from stream.contracts.emission import DeadLetterCode, Rejected
from stream.engine.position import HEADER_BYTES, Position, due_of, frame, is_waiting
from stream.engine.processor import (
    Context,
    OutputRecord,
    OutputTooLarge,
    Parsed,
    Processor,
    Record,
    StateUnreadable,
)
from stream.engine.stores.store import Store
from stream.engine.timers import Timers

S = TypeVar("S")
P = TypeVar("P")

DeadLetters = Callable[[Record, Rejected], OutputRecord]

_log = structlog.get_logger(__name__)


class Entry(Generic[P]):
    """A record on its way to the fold.

    Attributes:
        parsed: what it says, or why it is refused.
        ticket: its place in the stage; None when it does not pass through it.
        size: bytes of the record's value.
    """

    __slots__ = ("parsed", "record", "size", "ticket")

    def __init__(self, record: Record, parsed: Parsed[P] | Rejected, ticket: Any = None) -> None:
        self.record = record
        self.parsed = parsed
        self.ticket = ticket
        self.size = len(record.value) if record.value else 0


class Partition(Generic[S, P]):
    """The uncommitted side of one partition.

    Attributes:
        number: the partition's number.
        next_offset: of the input record to fold next.
        committed_offset: as of the last commit.
        folded, dead, quarantined: records since the start, for metrics and for the guard against bad input.
    """

    def __init__(
        self,
        number: int,
        processor: Processor[S, P],
        store: Store,
        dead_letters: DeadLetters,
        max_output_bytes: int,
        cached_states: int,
    ) -> None:
        self.number = number
        self.store = store
        self.timers = Timers()
        self.next_offset = 0
        self.committed_offset = 0
        self.last_append_time = 0
        self.last_event_time = 0
        self.folded = self.dead = self.quarantined = self.duplicates = self.timers_fired = 0
        self._processor = processor
        self._dead_letters = dead_letters
        self._cached_states = cached_states
        self._states: dict[bytes, S | None] = {}
        self._touched: set[bytes] = set()
        self._muted: dict[bytes, bytes] = {}
        self._window: list[Entry[P]] = []
        self._careful = False
        self._woken: list[bytes] = []
        self._moved_to = 0
        self._condemned = -1
        self._noted = False
        self.context: Context[P] = Context(max_output_bytes)
        self._committed_time = 0
        self._committed_shared = b""

    # -- start -------------------------------------------------------

    def begin(self, position: Position | None, offset: int) -> None:
        """Take up from the store's content: ``offset`` is the next input record."""
        self._committed_time = position.time if position else 0
        self._committed_shared = position.shared if position else b""
        self.committed_offset = offset
        dues: list[tuple[bytes, int]] = []
        for key, framed in self.store.items():
            due = due_of(framed)
            if due:
                dues.append((key, due))
            if is_waiting(framed):
                self.timers.waiting.add(key)
        self.timers.load(dues)
        self._reset()

    def _reset(self) -> None:
        self.next_offset = self.committed_offset
        context = self.context
        context.time = self._committed_time
        self._moved_to = self._committed_time
        processor = self._processor
        context.shared = (
            processor.decode_shared(self._committed_shared) if self._committed_shared else processor.new_shared()
        )
        context.outputs.clear()

    # -- fold --------------------------------------------------------

    @property
    def dirty(self) -> bool:
        """Whether there is anything that a commit would change."""
        return (
            self.next_offset != self.committed_offset
            or self._noted
            or bool(self._touched)
            or bool(self.context.outputs)
        )

    @property
    def uncommitted(self) -> int:
        return len(self._window)

    def note(self) -> None:
        """Commit even when nothing was folded: the commit's metadata has something to tell."""
        self._noted = True

    def condemn(self) -> None:
        """The broker refuses what the next record makes, again and again: bury it instead of folding it."""
        self._condemned = self.committed_offset

    def process(self, entry: Entry[P], timer_budget: int) -> bool:
        """Fold one record, and before it fire what its time makes due.

        Returns:
            False when more timers are due than ``timer_budget``: commit, then call again with the same entry.
        """
        record = entry.record
        if record.offset < self.next_offset:
            return True
        context = self.context
        context.origin = record.origin
        parsed = entry.parsed
        if record.offset == self._condemned:
            parsed = Rejected("too_large", "the broker refused what this record makes, alone in its transaction")
        if isinstance(parsed, Rejected):
            self._bury(record, parsed)
        else:
            if parsed.time > self._moved_to and not self._move(parsed.time, timer_budget):
                return False
            if parsed.key is not None:
                if self._careful:
                    self._fold_carefully(entry, parsed)
                else:
                    try:
                        self._fold(parsed, entry)
                    except Exception as error:
                        if not self._harmless(error, record):
                            self._start_over(entry)
                            return self.next_offset > record.offset
            elif parsed.signal and not self._wake(timer_budget):
                return False
            self.last_append_time = record.append_time
            self.last_event_time = parsed.time
        self._window.append(entry)
        self.next_offset = record.offset + 1
        return True

    def _fold(self, parsed: Parsed[P], entry: Entry[P]) -> None:
        key = parsed.key
        assert key is not None  # noqa: S101 - for the type checker: process() has looked
        states = self._states
        state = states[key] if key in states else self._load(key)
        ticket = entry.ticket
        after = self._processor.fold(state, parsed, None if ticket is None else ticket.answer(), self.context)
        self._keep(key, after)
        self.folded += 1

    def _load(self, key: bytes) -> S | None:
        framed = self.store.get(key)
        state = None if framed is None else self._processor.codec.decode(framed[HEADER_BYTES:])
        self._states[key] = state
        return state

    def _keep(self, key: bytes, state: S | None) -> None:
        self._states[key] = state
        self._touched.add(key)
        if self._muted:
            self._muted.pop(key, None)
        timers = self.timers
        if state is None:
            timers.set(key, 0)
            timers.waiting.discard(key)
            return
        timers.set(key, self._processor.due(state))
        if self._processor.waiting(state):
            timers.waiting.add(key)
        elif timers.waiting:
            timers.waiting.discard(key)

    def _harmless(self, error: Exception, record: Record) -> bool:
        """Whether the fold failed before it changed anything; then the record is buried and nothing else is to do."""
        if isinstance(error, Rejected):
            self._bury(record, error)
            return True
        if isinstance(error, StateUnreadable):
            self.quarantined += 1
            self._bury(record, Rejected("quarantined", f"the customer's state cannot be read: {error}"))
            return True
        return False

    def _start_over(self, culprit: Entry[P]) -> None:
        """A fold failed half-way: go back to the last commit and fold again with a copy of each state kept beside."""
        entries = [*self._window, culprit]
        self.roll_back()
        self._careful = True
        for entry in entries:
            while not self.process(entry, timer_budget=1_000_000):
                pass

    def _fold_carefully(self, entry: Entry[P], parsed: Parsed[P]) -> None:
        key = parsed.key
        assert key is not None  # noqa: S101 - for the type checker: process() has looked
        processor, context = self._processor, self.context
        try:
            state = self._states[key] if key in self._states else self._load(key)
        except StateUnreadable as error:
            self._harmless(error, entry.record)
            return
        before = None if state is None else processor.codec.encode(state)
        shared = processor.encode_shared(context.shared)
        was_touched = key in self._touched
        outputs = len(context.outputs)
        try:
            self._fold(parsed, entry)
        except Rejected as refusal:
            self._bury(entry.record, refusal)
        except Exception as error:
            del context.outputs[outputs:]
            context.shared = processor.decode_shared(shared) if shared else context.shared
            if before is None:
                self._states[key] = None
                self.timers.set(key, 0)
                self.timers.waiting.discard(key)
            else:
                self._keep(key, processor.codec.decode(before))
            if not was_touched:
                self._touched.discard(key)
            _log.warning("fold failed", role=processor.role, origin=str(entry.record.origin), error=repr(error))
            code: DeadLetterCode = "too_large" if isinstance(error, OutputTooLarge) else "fold_error"
            self._bury(entry.record, Rejected(code, f"{type(error).__name__}: {error}"))

    def _bury(self, record: Record, refusal: Rejected) -> None:
        self.dead += 1
        self.context.outputs.append(self._dead_letters(record, refusal))

    # -- time --------------------------------------------------------

    def _move(self, time: int, budget: int) -> bool:
        """Move partition time to ``time``, firing what becomes due on the way. False when the budget ran out first."""
        context, timers = self.context, self.timers
        while (fired := timers.pop(time)) is not None:
            due, key = fired
            if budget == 0:
                timers.set(key, due)
                return False
            budget -= 1
            context.time = max(context.time, due)
            self._fire(key, partial(self._on_timer, due), due)
            self.timers_fired += 1
        context.time = self._moved_to = time
        self._processor.on_time(time, context)
        return True

    def _on_timer(self, due: int, state: S) -> S | None:
        return self._processor.on_timer(state, due, self.context)

    def _on_signal(self, state: S) -> S | None:
        return self._processor.on_signal(state, self.context)

    def _fire(self, key: bytes, step: Callable[[S], S | None], due: int) -> None:
        """Run a timer or a signal of one key. What fails leaves the state as it was, without its timer, and is
        buried."""
        processor, context = self._processor, self.context
        outputs = len(context.outputs)
        try:
            state = self._states[key] if key in self._states else self._load(key)
            if state is None:
                return
            before = processor.codec.encode(state)
            try:
                after = step(state)
                if after is not None and 0 < processor.due(after) <= due:
                    raise RuntimeError(f"the timer that was due at {due} set itself for {processor.due(after)} again")
            except Exception:
                self._states[key] = processor.codec.decode(before)
                raise
            self._keep(key, after)
        except Exception as error:
            del context.outputs[outputs:]
            self._mute(key)
            if isinstance(error, StateUnreadable):
                self.quarantined += 1
            _log.warning("timer failed", role=processor.role, due=due, error=repr(error))
            origin = context.origin
            record = Record(origin.topic, origin.partition, origin.offset, 0, key, None, ())
            code: DeadLetterCode = "quarantined" if isinstance(error, StateUnreadable) else "fold_error"
            self._bury(record, Rejected(code, f"timer of {due}: {type(error).__name__}: {error}"))

    def _mute(self, key: bytes) -> None:
        """Keep a state's bytes but take its timer and its waiting away, or a failing timer would fire at every
        restart."""
        state, framed = self._states.get(key), self.store.get(key)
        encoded = self._processor.codec.encode(state) if state is not None else (framed or b"")[HEADER_BYTES:]
        self._muted[key] = frame(0, False, encoded)
        self._touched.add(key)
        self.timers.set(key, 0)
        self.timers.waiting.discard(key)

    def _wake(self, budget: int) -> bool:
        """Call ``on_signal`` for every waiting key, in order of key. False when the budget ran out first."""
        if not self._woken:
            self._woken = sorted(self.timers.waiting, reverse=True)
        while self._woken:
            if budget == 0:
                return False
            budget -= 1
            key = self._woken.pop()
            if key in self.timers.waiting:
                self._fire(key, self._on_signal, 0)
        return True

    # -- commit ------------------------------------------------------

    def changes(self) -> tuple[dict[bytes, bytes | None], Position]:
        """What the changelog has to learn: framed values of what was touched, and the new position."""
        processor, states = self._processor, self._states
        changed: dict[bytes, bytes | None] = {}
        for key in self._touched:
            if key in self._muted:
                changed[key] = self._muted[key]
                continue
            state = states[key]
            changed[key] = (
                None
                if state is None
                else frame(processor.due(state), processor.waiting(state), processor.codec.encode(state))
            )
        shared = processor.encode_shared(self.context.shared)
        return changed, Position(self.next_offset, self.context.time, processor.fold_version, shared)

    def committed(self, changed: dict[bytes, bytes | None], position: Position, changelog_offset: int) -> None:
        """The transaction is through: what was touched is now what was committed.

        Args:
            changelog_offset: of the record behind the position record.
        """
        self.store.write(changed, position, changelog_offset)
        self._committed_time = position.time
        self._committed_shared = position.shared
        self.committed_offset = position.offset
        self._noted = False
        self._touched.clear()
        self._muted.clear()
        self._window.clear()
        self._careful = False
        self.context.outputs.clear()
        states = self._states
        excess = len(states) - self._cached_states
        if excess > 0:
            for key in list(states)[:excess]:
                del states[key]

    def roll_back(self) -> None:
        """Back to the last commit: bytes, timers, time and shared state of what was touched."""
        timers = self.timers
        for key in self._touched:
            self._states.pop(key, None)
            framed = self.store.get(key)
            timers.set(key, 0 if framed is None else due_of(framed))
            if framed is not None and is_waiting(framed):
                timers.waiting.add(key)
            else:
                timers.waiting.discard(key)
        self._touched.clear()
        self._muted.clear()
        self._window.clear()
        self._woken.clear()
        self._careful = False
        self._reset()

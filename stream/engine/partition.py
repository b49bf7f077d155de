"""One partition between two commits: which record is next, what time it is, what was put out.

Everything here is a function of the records it is given, so it is tested without Kafka. The worker decides when to
take records in and when to commit; a roll-back puts everything back to the last commit. A step that fails half-way is
found by going back there and taking every step again, carefully.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
import structlog

from stream.contracts.emission import DeadLetterCode, Rejected
from stream.engine.position import Position
from stream.engine.processor import (
    Context,
    NewerState,
    OutputRecord,
    OutputTooLarge,
    Parsed,
    Processor,
    Record,
    StateUnreadable,
)
from stream.engine.states import States
from stream.engine.stores.store import Store
from stream.engine.timers import Timers

S = TypeVar("S")
P = TypeVar("P")

DeadLetters = Callable[[Record, Rejected], OutputRecord]

_REFUSED = "the broker refused what this makes, alone in its transaction"

_log = structlog.get_logger(__name__)


class Entry(Generic[P]):
    """A record on its way to the fold.

    Attributes:
        parsed: what it says, or why it is refused.
        ticket: its place in the stage; None when it does not pass through it.
    """

    __slots__ = ("parsed", "record", "ticket")

    def __init__(self, record: Record, parsed: Parsed[P] | Rejected, ticket: Any = None) -> None:
        self.record = record
        self.parsed = parsed
        self.ticket = ticket


class Tally(msgspec.Struct):
    """What became of records, for metrics and for the guard against bad input."""

    folded: int = 0
    dead: int = 0
    quarantined: int = 0
    timers: int = 0

    def add(self, other: "Tally") -> None:
        self.folded += other.folded
        self.dead += other.dead
        self.quarantined += other.quarantined
        self.timers += other.timers


class Partition(Generic[S, P]):
    """The uncommitted side of one partition.

    Attributes:
        number: the partition's number.
        next_offset: of the input record to fold next.
        committed_offset: as of the last commit.
        uncommitted: steps since the last commit: records, timers, and keys woken by a signal.
        tally: of everything committed since the partition was taken up.
        last_append_time, last_event_time: of the newest record that was not refused, epoch milliseconds.
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
        self.next_offset = 0
        self.committed_offset = 0
        self.uncommitted = 0
        self.last_append_time = 0
        self.last_event_time = 0
        self.tally = Tally()
        self.context: Context[P] = Context(max_output_bytes)
        self._since = Tally()
        self._processor = processor
        self._states: States[S] = States(processor, store, cached_states, max_output_bytes)
        self._dead_letters = dead_letters
        self._window: list[Entry[P]] = []
        self._unfinished: Entry[P] | None = None
        self._careful = False
        self._budget = 0
        self._woken: list[bytes] = []
        self._moved_to = 0
        self._fired_last = b""
        self._condemned_offset = -1
        self._condemned_key: bytes | None = None
        self._noted = False
        self._committed_time = 0
        self._committed_shared = b""

    def begin(self, position: Position | None, offset: int) -> None:
        """Take up from the store's content: ``offset`` is the next input record."""
        self._committed_time = position.time if position else 0
        self._committed_shared = position.shared if position else b""
        self.committed_offset = offset
        self._states.load_timers()
        self._reset()

    @property
    def store(self) -> Store:
        return self._states.store

    @property
    def timers(self) -> Timers:
        return self._states.timers

    @property
    def dirty(self) -> bool:
        """Whether there is anything that a commit would change."""
        return (
            self.next_offset != self.committed_offset
            or self._noted
            or self._states.changed
            or bool(self.context.outputs)
        )

    def note(self) -> None:
        """Commit even when nothing was folded: the commit's metadata has something to tell."""
        self._noted = True

    # -- one record --------------------------------------------------

    def process(self, entry: Entry[P], budget: int) -> bool:
        """Fold one record, and before it fire what its time makes due.

        Args:
            budget: steps to take at most, at least 1. A step is a timer, a key that is woken, or the record itself.

        Returns:
            False when the budget ran out first: commit, then call again with the same entry.

        Raises:
            NewerState: a state was written by a newer version.
        """
        if entry.record.offset < self.next_offset:
            return True
        try:
            done = self._take(entry, budget)
        except NewerState:
            raise
        except Exception:
            if self._careful:
                raise
            self._unfinished = entry
            self._start_over()
            return True
        self._unfinished = None if done else entry
        return done

    def _take(self, entry: Entry[P], budget: int) -> bool:
        record, parsed = entry.record, entry.parsed
        self.context.origin = record.origin
        if record.offset == self._condemned_offset:
            parsed = Rejected("too_large", _REFUSED)
        if isinstance(parsed, Rejected):
            self._bury(record, parsed)
        else:
            self._budget = budget
            if parsed.time > self._moved_to and not self._move(parsed.time):
                return False
            if parsed.signal and not self._wake():
                return False
            if self._budget <= 0:
                return False
            if parsed.key is not None:
                self._fold(parsed.key, parsed, entry)
            self.last_append_time = record.append_time
            self.last_event_time = parsed.time
        self._window.append(entry)
        self.uncommitted += 1
        self.next_offset = record.offset + 1
        return True

    def _fold(self, key: bytes, parsed: Parsed[P], entry: Entry[P]) -> None:
        try:
            if self._careful:
                error = self._carefully(key, partial(self._fold_plainly, key, parsed, entry))
                if error is not None:
                    self._bury(entry.record, _refusal(error))
            else:
                self._fold_plainly(key, parsed, entry)
        except Rejected as refusal:
            self._bury(entry.record, refusal)
        except StateUnreadable as error:
            self._quarantine(entry.record, error)

    def _fold_plainly(self, key: bytes, parsed: Parsed[P], entry: Entry[P]) -> None:
        states, ticket = self._states, entry.ticket
        state = states.get(key)
        states.keep(
            key, self._processor.fold(state, parsed, None if ticket is None else ticket.answer(), self.context)
        )
        self._since.folded += 1

    def _bury(self, record: Record, refusal: Rejected) -> None:
        self._since.dead += 1
        self.context.outputs.append(self._dead_letters(record, refusal))

    def _quarantine(self, record: Record, error: StateUnreadable) -> None:
        self._since.quarantined += 1
        self._bury(record, Rejected("quarantined", f"the customer's state cannot be read: {error}"))

    # -- time --------------------------------------------------------

    def _move(self, time: int) -> bool:
        """Move partition time to ``time``, firing what becomes due on the way. False when the budget ran out first."""
        context, timers = self.context, self.timers
        while (fired := timers.pop(time)) is not None:
            due, key = fired
            if self._budget <= 0:
                timers.set(key, due)
                return False
            context.time = max(context.time, due)
            self._fire(key, partial(self._on_timer, due), f"timer of {due}")
            self._since.timers += 1
        # Only now: a commit on the way has to say that this move is not complete.
        context.time = self._moved_to = time
        announce = partial(self._processor.on_time, time, context)
        if not self._careful:
            announce()
        elif (error := self._carefully(None, announce)) is not None:
            self._bury_step(None, f"at {time}", error)
        return True

    def _wake(self) -> bool:
        """Call ``on_signal`` for every waiting key, in order of key. False when the budget ran out first."""
        if not self._woken:
            self._woken = sorted(self.timers.waiting, reverse=True)
        while self._woken:
            if self._budget <= 0:
                return False
            key = self._woken.pop()
            if key in self.timers.waiting:
                self._fire(key, self._on_signal, "signal")
        return True

    def _fire(self, key: bytes, call: Callable[[S], S | None], name: str) -> None:
        """Run a timer or a signal of one key. What fails leaves the state as it was, without its timer, and is
        buried."""
        self._budget -= 1
        self.uncommitted += 1
        self._fired_last = key
        error: Exception | None = None
        try:
            if self._careful:
                error = self._carefully(key, partial(self._run, key, call))
            else:
                self._run(key, call)
        except StateUnreadable as unreadable:
            error = unreadable
        if error is not None:
            self._states.mute(key)
            self._bury_step(key, name, error)

    def _run(self, key: bytes, call: Callable[[S], S | None]) -> None:
        if key == self._condemned_key:
            raise OutputTooLarge(_REFUSED)
        state = self._states.get(key)
        if state is not None:
            self._states.keep(key, call(state))

    def _on_timer(self, due: int, state: S) -> S | None:
        after = self._processor.on_timer(state, due, self.context)
        if after is not None and 0 < self._processor.due(after) <= due:
            raise RuntimeError(f"the timer that was due at {due} set itself for {self._processor.due(after)} again")
        return after

    def _on_signal(self, state: S) -> S | None:
        after = self._processor.on_signal(state, self.context)
        if after is not None and self._processor.waiting(after):
            # It would be woken again by the same signal after a restart, and only then.
            raise RuntimeError("the key still waits after the signal that it waited for")
        return after

    def _bury_step(self, key: bytes | None, name: str, error: Exception) -> None:
        """The dead letter of what no record of its own has caused: the origin is the record that moved time."""
        topic, partition, offset = self.context.origin
        record = Record(topic, partition, offset, 0, key, None, ())
        if isinstance(error, StateUnreadable):
            self._quarantine(record, error)
        else:
            refusal = _refusal(error)
            self._bury(record, Rejected(refusal.code, f"{name}: {refusal.message}"))

    # -- failures ----------------------------------------------------

    def _start_over(self) -> None:
        """A step failed half-way: go back to the last commit, and take every step again with a copy of what it
        touches."""
        entries = [*self._window]
        unfinished = self._unfinished
        if unfinished is not None:
            entries.append(unfinished)
            if isinstance(unfinished.parsed, Parsed) and unfinished.parsed.key is not None:
                self._states.forget(unfinished.parsed.key)
        self._states.forget(self._fired_last)
        self.roll_back()
        self._careful = True
        for entry in entries:
            self.process(entry, sys.maxsize)

    def _carefully(self, key: bytes | None, step: Callable[[], None]) -> Exception | None:
        """Take a step. When it fails, what it did to its key, to the shared state and to the outputs is undone.

        Raises:
            Rejected, StateUnreadable, NewerState: nothing was done.
        """
        processor, context, states = self._processor, self.context, self._states
        before = None if key is None else states.before(key)
        shared = processor.encode_shared(context.shared)
        outputs = len(context.outputs)
        try:
            step()
            # What cannot be written must fail here, where it is known who is to blame.
            processor.encode_shared(context.shared)
            if key is not None:
                states.framed(key)
        except (Rejected, NewerState):
            raise
        except Exception as error:
            _log.warning("step failed", role=processor.role, origin=str(context.origin), error=repr(error))
            del context.outputs[outputs:]
            context.shared = self._shared(shared)
            if key is not None and before is not None:
                states.put_back(key, before)
            return error
        return None

    def condemn(self) -> bool:
        """The broker refuses what the only step since the last commit has made: bury it instead of taking it.

        Returns:
            False when it was buried already, so that it is the dead letter that the broker refuses.
        """
        if self._window:
            offset = self._window[-1].record.offset
            known, self._condemned_offset = offset == self._condemned_offset, offset
        else:
            known, self._condemned_key = self._fired_last == self._condemned_key, self._fired_last
        return not known

    # -- commit ------------------------------------------------------

    def changes(self) -> tuple[dict[bytes, bytes | None], Position]:
        """What the changelog has to learn: framed values of what was touched, and the new position."""
        try:
            changed, shared = self._states.changes(), self._processor.encode_shared(self.context.shared)
        except Exception:
            self._start_over()
            changed, shared = self._states.changes(), self._processor.encode_shared(self.context.shared)
        return changed, Position(self.next_offset, self._moved_to, self._processor.fold_version, shared)

    def committed(self, changed: dict[bytes, bytes | None], position: Position, changelog_offset: int) -> None:
        """The transaction is through: what was touched is now what was committed.

        Args:
            changelog_offset: of the record behind the position record.
        """
        self._states.committed(changed, position, changelog_offset)
        self._committed_time = position.time
        self._committed_shared = position.shared
        self.committed_offset = position.offset
        self.tally.add(self._since)
        self._noted = False
        self._condemned_key = None
        self.context.outputs.clear()
        self._clear()

    def roll_back(self) -> None:
        """Back to the last commit: bytes, timers, time and shared state of what was touched."""
        self._states.roll_back()
        self._woken.clear()
        self._unfinished = None
        self._clear()
        self._reset()

    def _clear(self) -> None:
        self._window.clear()
        self.uncommitted = 0
        self._careful = False
        self._since = Tally()

    def _reset(self) -> None:
        self.next_offset = self.committed_offset
        self.context.time = self._moved_to = self._committed_time
        self.context.shared = self._shared(self._committed_shared)
        self.context.outputs.clear()

    def _shared(self, encoded: bytes) -> Any:
        return self._processor.decode_shared(encoded) if encoded else self._processor.new_shared()


def _refusal(error: Exception) -> Rejected:
    code: DeadLetterCode = "too_large" if isinstance(error, OutputTooLarge) else "fold_error"
    return Rejected(code, f"{type(error).__name__}: {error}")

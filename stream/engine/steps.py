"""Single steps of one partition: the fold of a record, a timer, a key woken by a signal. What a step is refused or
fails with becomes a dead letter.

A step is taken plainly, and may then fail half-way; or carefully, and is then undone when it fails. Which of the two,
and which step comes next, is ``stream.engine.partition``'s to say, which alone calls this.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
import structlog

from stream.contracts.emission import DeadLetterCode, Rejected
from stream.engine.entries import Entry
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

S = TypeVar("S")
P = TypeVar("P")

DeadLetters = Callable[[Record, Rejected], OutputRecord]

BROKER_REFUSED = "the broker refused what this makes, alone in its transaction"

_log = structlog.get_logger(__name__)


class Tally(msgspec.Struct):
    """How many records were folded or refused, how many records and timers became dead letters, how many of those
    because a state cannot be read, and how many timers fired."""

    records: int = 0
    dead: int = 0
    quarantined: int = 0
    timers: int = 0

    def add(self, other: "Tally") -> None:
        self.records += other.records
        self.dead += other.dead
        self.quarantined += other.quarantined
        self.timers += other.timers


class Steps(Generic[S, P]):
    """Takes steps on the states and the context of one partition.

    Attributes:
        careful: undo a step that fails. Otherwise its exception is raised, and only a roll-back puts things right.
        tally: of the steps since the last commit.
        condemned: a key whose next timer or signal is buried, because the broker refuses what it makes.
        fired_last: the key of the newest timer or signal.
    """

    def __init__(
        self,
        processor: Processor[S, P],
        states: States[S],
        context: Context[P],
        dead_letters: DeadLetters,
    ) -> None:
        self.careful = False
        self.tally = Tally()
        self.condemned: bytes | None = None
        self.fired_last: bytes | None = None
        self._processor = processor
        self._states = states
        self._context = context
        self._dead_letters = dead_letters

    def fold(self, key: bytes, parsed: Parsed[P], entry: Entry[P]) -> None:
        """Fold a record into the state of ``key``."""
        try:
            if not self.careful:
                self._fold(key, parsed, entry.ticket)
            elif (error := self._carefully(key, partial(self._fold, key, parsed, entry.ticket))) is not None:
                self.bury(entry.record, _refusal(error))
        except Rejected as refusal:
            self.bury(entry.record, refusal)
        except StateUnreadable as error:
            self._quarantine(entry.record, error)

    def _fold(self, key: bytes, parsed: Parsed[P], ticket: Any) -> None:
        states = self._states
        answer = None if ticket is None else ticket.answer()
        states.keep(key, self._processor.fold(states.get(key), parsed, answer, self._context))

    def fire(self, key: bytes, due: int) -> None:
        """Run the timer of ``key``."""
        self._call(key, due)
        self.tally.timers += 1

    def wake(self, key: bytes) -> None:
        """Tell ``key``, which waits, that the signal came."""
        self._call(key, None)

    def announce(self, time: int) -> None:
        """Partition time has moved on to ``time``."""
        processor, context = self._processor, self._context
        if not self.careful:
            processor.on_time(time, context)
        elif (error := self._carefully(None, partial(processor.on_time, time, context))) is not None:
            self._bury_call(None, f"at {time}", error)

    def bury(self, record: Record, refusal: Rejected) -> None:
        """Write a record's dead letter."""
        self.tally.dead += 1
        self._context.outputs.append(self._dead_letters(record, refusal))

    def shared(self, encoded: bytes) -> Any:
        """The shared state in ``encoded``, or a new one where there is none yet."""
        return self._processor.decode_shared(encoded) if encoded else self._processor.new_shared()

    # -- timers and signals ------------------------------------------

    def _call(self, key: bytes, due: int | None) -> None:
        """What fails leaves the state as it was, without its timer, and is buried."""
        self.fired_last = key
        error: Exception | None = None
        try:
            if self.careful:
                error = self._carefully(key, partial(self._run, key, due))
            else:
                self._run(key, due)
        except StateUnreadable as unreadable:
            error = unreadable
        if error is not None:
            self._states.mute(key)
            self._bury_call(key, "signal" if due is None else f"timer of {due}", error)

    def _run(self, key: bytes, due: int | None) -> None:
        if key == self.condemned:
            raise OutputTooLarge(BROKER_REFUSED)
        state = self._states.get(key)
        if state is not None:
            self._states.keep(key, self._on_signal(state) if due is None else self._on_timer(state, due))

    def _on_timer(self, state: S, due: int) -> S | None:
        after = self._processor.on_timer(state, due, self._context)
        if after is not None and 0 < self._processor.due(after) <= due:
            raise RuntimeError(f"the timer that was due at {due} set itself for {self._processor.due(after)} again")
        return after

    def _on_signal(self, state: S) -> S | None:
        after = self._processor.on_signal(state, self._context)
        if after is not None and self._processor.waiting(after):
            # A restart in the middle of a signal would wake it a second time.
            raise RuntimeError("it still waits after the signal that it waited for")
        return after

    # -- failures ----------------------------------------------------

    def _carefully(self, key: bytes | None, step: Callable[[], None]) -> Exception | None:
        """Take a step. When it fails, what it did to its key, to the shared state and to the outputs is undone.

        Returns:
            What it failed with.

        Raises:
            StateUnreadable: the key's state cannot be decoded; nothing was done.
            NewerState: it was written by a newer version.
            MemoryError: there is none left.
        """
        processor, context, states = self._processor, self._context, self._states
        before = None if key is None else states.before(key)
        shared = processor.encode_shared(context.shared)
        outputs = len(context.outputs)
        try:
            step()
            # What cannot be written has to fail here, where it is known which step is to blame.
            processor.encode_shared(context.shared)
            if key is not None:
                states.framed(key)
        except (NewerState, MemoryError):
            # A worker that is short of memory must not take it out on records.
            raise
        except Exception as error:
            if not isinstance(error, Rejected):
                _log.warning("step failed", role=processor.role, origin=str(context.origin), error=repr(error))
            del context.outputs[outputs:]
            context.shared = self.shared(shared)
            if key is not None and before is not None:
                states.put_back(key, before)
            return error
        return None

    def _bury_call(self, key: bytes | None, name: str, error: Exception) -> None:
        """The dead letter of what is not a record's own doing: its origin is the record that moved time."""
        topic, partition, offset = self._context.origin
        record = Record(topic, partition, offset, 0, key, None, ())
        if isinstance(error, StateUnreadable):
            self._quarantine(record, error)
        else:
            refusal = _refusal(error)
            self.bury(record, Rejected(refusal.code, f"{name}: {refusal.message}"))

    def _quarantine(self, record: Record, error: StateUnreadable) -> None:
        self.tally.quarantined += 1
        self.bury(record, Rejected("quarantined", f"the customer's state cannot be read: {error}"))


def _refusal(error: Exception) -> Rejected:
    if isinstance(error, Rejected):
        return error
    code: DeadLetterCode = "too_large" if isinstance(error, OutputTooLarge) else "fold_error"
    return Rejected(code, f"{type(error).__name__}: {error}")

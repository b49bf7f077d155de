"""One partition between two commits: which record is next, what time it is, what was put out.

Everything here is a function of the records it is given, so it is tested without Kafka. The worker decides when to
take records in and when to commit; a roll-back puts everything back to the last commit. When a step fails half-way,
the partition goes back there by itself and takes every step again, carefully.
"""

import sys
from typing import Final, Generic, TypeVar

from confluent_kafka import Message

from stream.contracts.emission import Origin, Rejected
from stream.engine.entries import Entry, entry_of
from stream.engine.position import Position
from stream.engine.processor import Context, NewerState, Parsed, Processor, StateUnreadable
from stream.engine.states import States
from stream.engine.steps import BROKER_REFUSED, DeadLetters, Steps, Tally
from stream.engine.stores.store import Store
from stream.engine.timers import Timers

try:
    from stream.engine._fast_path import FastPath, FoldPath
except ImportError:  # There was no compiler.
    FastPath = FoldPath = None  # type: ignore[assignment,misc]

S = TypeVar("S")
P = TypeVar("P")

FEW_TIMERS: Final = 16
"""Fired before a record of the fast path; the steps until the next commit are counted where there are more."""


class Partition(Generic[S, P]):
    """The uncommitted side of one partition.

    Attributes:
        number: the partition's number.
        next_offset: of the input record to fold next.
        committed_offset: as of the last commit.
        uncommitted: steps since the last commit: records, timers, and keys woken by a signal.
        tally: of everything committed since the partition was taken up.
        moved_to: event time up to which everything was fired.
        announce_at: where the next cell of the processor's grid of time begins.
        fast_path: takes plain records in, or any that is nothing special where the processor has no compiled fold; None
            where there is no compiled path.
        unfinished: the record that is half taken: the budget ran out before it.
        condemned_offset: of the record that is to be buried, because the broker refuses what it makes; -1: none.
        appended: when the newest record committed here was appended, epoch milliseconds; 0 before one was.
        behind: milliseconds by which the newest record that was not refused was appended after its event time; None
            before there was one.
    """

    def __init__(
        self,
        number: int,
        processor: Processor[S, P],
        store: Store,
        dead_letters: DeadLetters,
        max_output_bytes: int,
        cached_states: int,
        fast: bool = True,
    ) -> None:
        self.number = number
        self.next_offset = 0
        self.committed_offset = 0
        self.uncommitted = 0
        self.appended = 0
        self.behind: int | None = None
        self.tally = Tally()
        self.context: Context[P] = Context(max_output_bytes)
        self._processor = processor
        self._states: States[S] = States(processor, store, cached_states, max_output_bytes)
        self._steps = Steps(processor, self._states, self.context, dead_letters)
        self._window: list[Entry[P] | Message] = []
        self.unfinished: Entry[P] | None = None
        self._budget = 0
        self._woken: list[bytes] = []
        self.moved_to = 0
        self.announce_at = 0
        self.condemned_offset = -1
        self._noted = False
        self._committed_time = 0
        self._committed_shared = b""
        self._plain_from = processor.plain_from(number)
        self.fast_path: FastPath | FoldPath | None = None
        if fast and processor.stage is None and FastPath is not None:
            states, steps, window = self._states, self._steps, self._window
            self.fast_path = (
                FoldPath(self, processor, states, steps, window)
                if processor.plain is None
                else FastPath(self, processor.plain, processor.input_topic, states, steps, window)
            )

    @property
    def plain(self) -> bool:
        """Whether the next record may be one for the fast path."""
        return self.next_offset >= self._plain_from

    def begin(self, position: Position | None, offset: int) -> None:
        """Take up from the store's content: ``offset`` is the next input record."""
        self._committed_time = position.time if position else 0
        self._committed_shared = position.shared if position else b""
        self.behind = position.behind if position else None
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

    def hint(self, parsed: Parsed[P]) -> None:
        """Let the processor put into the payload what the stage should know. Raises ``NewerState``."""
        if parsed.key is not None:
            try:
                state = self._states.get(parsed.key)
            except StateUnreadable:
                # The fold will find the same, and buries the record.
                return
            self._processor.hint(state, parsed.payload)

    # -- steps -------------------------------------------------------

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
        except (NewerState, MemoryError):
            raise
        except Exception:
            if self._steps.careful:
                raise
            self.unfinished = entry
            return self.start_over()
        self.unfinished = None if done else entry
        return done

    def _take(self, entry: Entry[P], budget: int) -> bool:
        record, parsed = entry.record, entry.parsed
        self.context.origin = record.origin
        if record.offset == self.condemned_offset:
            parsed = Rejected("too_large", BROKER_REFUSED)
        self._budget = budget
        if isinstance(parsed, Rejected):
            self.uncommitted += 1
            self._steps.bury(record, parsed)
        else:
            key, time = parsed.key, parsed.time
            if time > self.moved_to:
                if not self._move(time):
                    return False
            elif key is not None and not self._catch_up(key, time):
                return False
            if parsed.signal and not self._wake():
                return False
            if self._budget <= 0:
                return False
            self.uncommitted += 1
            if key is not None:
                self._steps.fold(key, parsed, entry)
            self.behind = record.append_time - time
        self._window.append(entry)
        self.next_offset = record.offset + 1
        return True

    def _move(self, time: int) -> bool:
        """Move partition time to ``time``, firing what becomes due on the way. False when the budget ran out first."""
        context, timers = self.context, self._states.timers
        while (fired := self._states.next_timer(time)) is not None:
            due, key = fired
            if not self._spend():
                timers.set(key, due)
                return False
            context.time = max(context.time, due)
            self._steps.fire(key, due)
        # Only now: a commit on the way has to say that the move is not complete, or a restart would not go on with it.
        context.time = self.moved_to = time
        if time >= self.announce_at:
            self.announce(time)
        return True

    def move_for(self, origin: Origin, time: int) -> bool:
        """Move partition time to that of a record of the fast path, as ``process`` does before its fold.

        Returns:
            False when that takes more than ``FEW_TIMERS``, or one failed: ``process`` has to go on.

        Raises:
            NewerState: a state was written by a newer version.
        """
        self.context.origin = origin
        self._budget = FEW_TIMERS
        try:
            # A state whose timer failed is left to the long way until the commit.
            return self._move(time) and not self._states.muted
        except (NewerState, MemoryError):
            raise
        except Exception:
            self.start_over()
            return False

    def announce(self, time: int) -> None:
        """Tell the processor that partition time has moved on to ``time``, in another cell of its grid."""
        self.announce_at = self._next_cell(time)
        self._steps.announce(time)

    def _next_cell(self, time: int) -> int:
        grid = self._processor.time_grid_ms
        return time - time % grid + grid

    def _catch_up(self, key: bytes, time: int) -> bool:
        """Fire what is due for ``key`` by the time of its own record, where others have moved partition time beyond it:
        a key's history is the same whether its records came before or after those of others."""
        while 0 < (due := self._states.due_of(key)) <= time:
            if not self._spend():
                return False
            self._states.timers.set(key, 0)
            self._steps.fire(key, due)
        return True

    def _wake(self) -> bool:
        """Wake every waiting key, in order of key. False when the budget ran out first."""
        waiting = self._states.timers.waiting
        if not self._woken:
            self._woken = sorted(waiting, reverse=True)
        while self._woken:
            if self._woken[-1] in waiting:
                if not self._spend():
                    return False
                self._steps.wake(self._woken[-1])
            self._woken.pop()
        return True

    def _spend(self) -> bool:
        """Take a step from the budget. False when there is none left."""
        if self._budget <= 0:
            return False
        self._budget -= 1
        self.uncommitted += 1
        return True

    def start_over(self) -> bool:
        """A step failed half-way: go back to the last commit, and take the same steps again, each with a copy of what
        it touches. True when the last record is folded."""
        steps = max(self.uncommitted, 1)
        window = [*self._window]
        unfinished, fired = self.unfinished, self._steps.fired_last
        if unfinished is not None and isinstance(unfinished.parsed, Parsed) and unfinished.parsed.key is not None:
            self._states.spoil(unfinished.parsed.key)
        if fired is not None:
            self._states.spoil(fired)
        self.roll_back()
        self._steps.careful = True
        for taken in window:
            entry = taken if isinstance(taken, Entry) else entry_of(self._processor, taken)
            # Nobody will bring it again, so it is folded whatever it takes: a step that is undone can leave a timer
            # standing which it had moved away before.
            self.process(entry, sys.maxsize)
        if unfinished is None:
            return True
        budget = steps - self.uncommitted
        done = budget > 0 and self.process(unfinished, budget)
        self.unfinished = None if done else unfinished
        return done

    def condemn(self) -> bool:
        """The broker refuses what the only step since the last commit has made: bury that step when it comes again.

        Returns:
            False when it was buried already, so that it is the dead letter that the broker refuses.
        """
        if self._window:
            newest = self._window[-1]
            offset = newest.record.offset if isinstance(newest, Entry) else newest.offset() or 0
            known, self.condemned_offset = self.condemned_offset == offset, offset
        else:
            key = self._steps.fired_last
            known, self._steps.condemned = self._steps.condemned == key, key
        return not known

    # -- commit ------------------------------------------------------

    def changes(self) -> tuple[dict[bytes, bytes | None], Position]:
        """What the changelog has to learn: framed values of what was touched, and the new position."""
        try:
            changed, shared = self._encoded()
        except MemoryError:
            raise
        except Exception:
            self.start_over()
            changed, shared = self._encoded()
        return changed, Position(self.next_offset, self.moved_to, self._processor.fold_version, shared, self.behind)

    def _encoded(self) -> tuple[dict[bytes, bytes | None], bytes]:
        return self._states.changes(), self._processor.encode_shared(self.context.shared)

    def committed(self, changed: dict[bytes, bytes | None], position: Position, changelog_offset: int) -> None:
        """The transaction is through: what was touched is now what was committed.

        Args:
            changelog_offset: of the record behind the position record.
        """
        self._states.committed(changed, position, changelog_offset)
        self._committed_time = position.time
        self._committed_shared = position.shared
        self.committed_offset = position.offset
        self._steps.tally.records = len(self._window)
        if self._window:
            newest = self._window[-1]
            self.appended = newest.record.append_time if isinstance(newest, Entry) else newest.timestamp()[1]
        self.tally.add(self._steps.tally)
        self._noted = False
        self._steps.condemned = None
        self.context.outputs.clear()
        self._clear()

    def roll_back(self) -> None:
        """Back to the last commit: bytes, timers, time and shared state of what was touched."""
        self._states.roll_back()
        self._woken.clear()
        self.unfinished = None
        self._clear()
        self._reset()

    def _clear(self) -> None:
        self._window.clear()
        self.uncommitted = 0
        self._steps.careful = False
        self._steps.tally = Tally()

    def _reset(self) -> None:
        context = self.context
        self.next_offset = self.committed_offset
        context.time = self.moved_to = self._committed_time
        self.announce_at = self._next_cell(self.moved_to) if self.moved_to else 0
        context.shared = self._steps.shared(self._committed_shared)
        context.outputs.clear()

"""Folds a partition of a role's input afresh, with the engine's own partition and the role's own processor: what comes
out is what a worker would have in its store.

It may be for some customers alone: of the others' records only the time counts then, which fires timers. It writes
nothing and sends nothing. Called by `verifying.py`, `states.py` and the explanation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, NamedTuple, TypeVar

from stream.contracts.emission import Origin, Rejected
from stream.engine.entries import Entry, parsed_of
from stream.engine.partition import Partition
from stream.engine.position import HEADER_BYTES
from stream.engine.processor import Context, OutputRecord, Parsed, Processor, Record
from stream.engine.stores.memory import MemoryStore
from stream.workers.process import dead_letter_maker

S = TypeVar("S")
P = TypeVar("P")

_UNBOUNDED: Final = 1 << 62
_COMMIT_EVERY: Final = 10_000
"""Records and timers between two hand-overs of the changed states to the store."""
_CACHED: Final = 10_000

SIGNAL: Final = -1

Wanted = Callable[[bytes], bool]


class Step(NamedTuple):
    """What one record, timer or signal did to a customer.

    Attributes:
        origin: of the record that was folded, or that moved time.
        due: of the timer, epoch milliseconds; 0 for a record, ``SIGNAL`` for a signal.
        before, after: the encoded state; None: there was none.
        outputs: what was put out.
        refusal: why the record was refused; None where it was folded.
    """

    origin: Origin
    due: int
    before: bytes | None
    after: bytes | None
    outputs: tuple[OutputRecord, ...] = ()
    refusal: Rejected | None = None


class _Given(NamedTuple):
    """An answer that is there already, in the place of a stage's ticket."""

    value: Any

    def answer(self) -> Any:
        return self.value


class Refold(Generic[S, P]):
    """One partition, folded from its beginning.

    Args:
        processor: of the role; its stage is not asked.
        number: of the partition.
        max_output_bytes: as the workers have it: what is larger is refused.
        wanted: whose records are folded; None: everybody's.
        watch: is told of every step, in the order of the fold; where one customer alone is wanted.
    """

    def __init__(
        self,
        processor: Processor[S, P],
        number: int,
        max_output_bytes: int,
        wanted: Wanted | None = None,
        watch: Callable[[Step], None] | None = None,
    ) -> None:
        self._plain = processor.plain
        self._watched = _Watched(processor) if watch is not None else None
        self._processor: Processor[S, P] = self._watched or processor
        self._store = MemoryStore()
        self._wanted = wanted
        self._watch = watch
        bury = dead_letter_maker(processor.dead_letter_topic)
        # The compiled fold is what is live: that it agrees with this one is a part of what is verified.
        self._partition = Partition(number, self._processor, self._store, bury, max_output_bytes, _CACHED, fast=False)
        self._partition.begin(None, 0)

    @property
    def time(self) -> int:
        """Partition time: the greatest event time so far, epoch milliseconds."""
        return self._partition.moved_to

    @property
    def shared(self) -> Any:
        """The state that all customers of the partition share. What is changed in it has to be followed by ``note``."""
        return self._partition.context.shared

    def take(self, record: Record, answer: Any = None) -> None:
        """Fold a record, and before it fire what its time makes due.

        Args:
            answer: what the stage answered then; None where it is not asked.

        Raises:
            NewerState: it was written by a newer version of Tidemark.
        """
        key = record.key
        if self._wanted is not None and (key is None or not self._wanted(key)):
            self._pass(record)
            return
        parsed = parsed_of(self._processor, record)
        ticket = None if answer is None else _Given(answer)
        self._process(Entry(record, parsed, ticket))
        if self._watch is not None and isinstance(parsed, Rejected):
            framed = None if key is None else self.state(key)
            state = None if framed is None else framed[HEADER_BYTES:]
            self._watch(Step(record.origin, 0, state, state, (), parsed))

    def states(self) -> Iterator[tuple[bytes, bytes]]:
        """Framed values by key, as the changelog would have them."""
        self.note()
        return self._store.items()

    def state(self, key: bytes) -> bytes | None:
        """The framed value of one key; None where it has no state."""
        self.note()
        return self._store.get(key)

    def note(self) -> None:
        """Hand over to the store what has changed."""
        partition = self._partition
        partition.note()
        changes, position = partition.changes()
        partition.committed(changes, position, 0)

    def _process(self, entry: Entry[P]) -> None:
        partition = self._partition
        partition.process(entry, _UNBOUNDED)
        if self._watched is not None and self._watch is not None and (steps := self._watched.taken()):
            for step in steps:
                self._watch(step)
            # What fails half-way is taken again from the last commit on: nothing that was told already.
            self.note()
        elif partition.uncommitted >= _COMMIT_EVERY:
            self.note()

    def _pass(self, record: Record) -> None:
        """Of somebody else's record the time alone counts."""
        time = -1
        if self._plain is not None and not record.headers and record.key is not None and record.value is not None:
            time = self._plain.read(record.value, record.key, record.append_time, record.partition)
            if 0 <= time <= self._partition.moved_to:
                return
        parsed = parsed_of(self._processor, record)
        if isinstance(parsed, Rejected) or (parsed.time <= self._partition.moved_to and not parsed.signal):
            return
        self._process(Entry(record, Parsed(None, parsed.time, parsed.payload, parsed.signal)))


class _Watched(Processor[S, P]):
    """A processor whose steps are noted. What it does is what the other one does."""

    def __init__(self, processor: Processor[S, P]) -> None:
        self.steps: list[Step] = []
        self._inner = processor
        self.role = processor.role
        self.input_topic = processor.input_topic
        self.changelog_topic = processor.changelog_topic
        self.dead_letter_topic = processor.dead_letter_topic
        self.fold_version = processor.fold_version
        self.codec = processor.codec
        self.time_grid_ms = processor.time_grid_ms

    def taken(self) -> list[Step]:
        """The steps since the last call; of one that was taken twice, because the first time it failed, the second."""
        newest = {(step.origin, step.due): step for step in self.steps}
        self.steps.clear()
        return list(newest.values())

    def parse(self, record: Record) -> Parsed[P]:
        return self._inner.parse(record)

    def fold(self, state: S | None, parsed: Parsed[P], answer: Any, context: Context[P]) -> S | None:
        return self._noted(state, 0, context, lambda: self._inner.fold(state, parsed, answer, context))

    def on_timer(self, state: S, due: int, context: Context[P]) -> S | None:
        return self._noted(state, due, context, lambda: self._inner.on_timer(state, due, context))

    def on_signal(self, state: S, context: Context[P]) -> S | None:
        return self._noted(state, SIGNAL, context, lambda: self._inner.on_signal(state, context))

    def due(self, state: S, /) -> int:
        return self._inner.due(state)

    def waiting(self, state: S) -> bool:
        return self._inner.waiting(state)

    def on_time(self, time: int, context: Context[P]) -> None:
        self._inner.on_time(time, context)

    def new_shared(self) -> Any:
        return self._inner.new_shared()

    def encode_shared(self, shared: Any) -> bytes:
        return self._inner.encode_shared(shared)

    def decode_shared(self, encoded: bytes) -> Any:
        return self._inner.decode_shared(encoded)

    def _noted(self, state: S | None, due: int, context: Context[P], step: Callable[[], S | None]) -> S | None:
        before = None if state is None else self.codec.encode(state)
        outputs = len(context.outputs)
        try:
            after = step()
        except Rejected as refusal:
            self.steps.append(Step(context.origin, due, before, before, (), refusal))
            raise
        except Exception as error:
            failure = Rejected("fold_error", f"{type(error).__name__}: {error}")
            self.steps.append(Step(context.origin, due, before, before, (), failure))
            raise
        encoded = None if after is None else self.codec.encode(after)
        self.steps.append(Step(context.origin, due, before, encoded, tuple(context.outputs[outputs:])))
        return after

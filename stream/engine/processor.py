"""What a processor is to the engine: a pure fold over one partition's records with keyed state, timers and outputs.

A processor never reads a clock, never does I/O and keeps nothing between calls but what it returns as state.
Everything else (reading, restoring, timers, transactions, dead letters) is the engine's.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from stream.contracts.emission import Headers, Origin

S = TypeVar("S")
P = TypeVar("P")
Answers = Sequence[Any]

_new: Final = tuple.__new__
"""Makes a named tuple in half the time that calling its class takes: one is made for every record."""


class Record(msgspec.Struct, gc=False):
    """One record as it came from the input topic. Times in epoch milliseconds."""

    topic: str
    partition: int
    offset: int
    append_time: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    @property
    def origin(self) -> Origin:
        return _new(Origin, (self.topic, self.partition, self.offset))


class Parsed(msgspec.Struct, Generic[P], gc=False):
    """What ``parse`` made of a record.

    ``key`` None marks a record that belongs to nobody: a tick, which moves time, or a signal, which wakes every
    waiting key.
    """

    key: bytes | None
    time: int
    payload: P
    signal: bool = False


class OutputRecord(NamedTuple):
    """A record to be produced. ``topic`` is a physical name; ``partition`` -1 lets the key decide, by murmur2."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int


class OutputTooLarge(ValueError):
    """An output is larger than the broker takes."""


class StateUnreadable(ValueError):
    """A state's bytes cannot be decoded. The key is quarantined; the others go on."""


class NewerState(Exception):
    """A state was written by a newer version of the code. The worker stops instead of damaging it."""


class Context(Generic[P]):
    """What a fold may see besides its state, and where it puts its outputs. One per partition, reused from call to
    call.

    Attributes:
        origin: where the record lies that is folded, or that moved time.
        time: partition time, epoch milliseconds: the greatest event time so far.
        shared: state that all keys of the partition share; ``Processor.new_shared`` makes it. Mutate it in place.
    """

    __slots__ = ("max_bytes", "origin", "outputs", "shared", "time")

    def __init__(self, max_bytes: int, shared: Any = None) -> None:
        self.max_bytes = max_bytes
        self.outputs: list[OutputRecord] = []
        self.origin = Origin("", 0, 0)
        self.time = 0
        self.shared = shared

    def emit(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = (), partition: int = -1
    ) -> None:
        """Write ``value`` with this record's transaction.

        Raises:
            OutputTooLarge: more than the broker takes; the record becomes a dead letter and its other outputs are
                dropped.
        """
        size = (0 if value is None else len(value)) + (0 if key is None else len(key))
        if size > self.max_bytes:
            raise OutputTooLarge(f"an output to {topic} has {size:,} bytes, the limit is {self.max_bytes:,}")
        self.outputs.append(OutputRecord(topic, key, value, headers, partition))


class StateCodec(Protocol[S]):
    """Turns states into bytes and back."""

    def encode(self, state: S) -> bytes: ...

    def decode(self, encoded: bytes) -> S:
        """Raises ``StateUnreadable``, or ``NewerState`` for bytes of a newer version."""
        ...


class Stage(ABC, Generic[P]):
    """Slow, stateless work between ``parse`` and ``fold``, such as asking a model. It runs on an event loop of its
    own."""

    max_batch: int = 64
    max_in_flight: int = 8

    @abstractmethod
    def needs(self, payload: P) -> bool:
        """Whether this record has to pass through the stage at all."""

    @abstractmethod
    async def run(self, batch: Sequence[P]) -> Answers:
        """One answer for each payload, in order. Deadlines and fallbacks are the stage's own: it must always end."""

    async def open(self) -> None:
        """Called once on the event loop before the first batch."""

    async def close(self) -> None:
        """Called once on the event loop after the last batch."""

    def recovered(self) -> bool:
        """Whether what was gone is back, so that waiting keys should be woken by a signal in the log."""
        return False


class Plain(Protocol[S]):
    """A processor's own, compiled way with plain records, for the engine's fast path. What it does to a state is what
    ``parse`` and ``fold`` do."""

    def read(self, value: bytes, key: bytes, append_time: int, partition: int, /) -> int:
        """Event time of a record without headers; -1: it is not plain. The next calls are about this record."""
        ...

    def new(self, key: bytes, /) -> S:
        """A state for a key without one, to fold the record into."""
        ...

    def fold(self, state: S, offset: int, /) -> int:
        """0: not plain, and the state is as it was. 1: folded, and its timer did not move. 2: folded, and it may have.
        3: the same, and ``ask`` has to be called."""
        ...

    def due(self, state: S, /) -> int:
        """When the state wants to be called next, as ``Processor.due`` says it."""
        ...

    def ask(self, state: S, context: Any, /) -> None:
        """Emit what the fold has led to, and change the state by it."""
        ...


class Processor(ABC, Generic[S, P]):
    """A fold over the records of one input topic.

    Attributes:
        role: names it in logs, metrics and messages.
        input_topic: physical name.
        changelog_topic: physical name, with as many partitions as the input.
        dead_letter_topic: physical name.
        fold_version: raised whenever the fold would make something else of the same log, in what it puts out or in the
            fields that a state had before. A field that is added, with a default, is no other fold.
        codec: of the state of one key.
        time_grid_ms: ``on_time`` is called for the first time in each cell of this grid.
        plain: a compiled way with plain records, or None. Only a processor without a stage may have one, which never
            waits for a signal, and whose timers move only where ``fold`` answers 2 or 3.
        stage: slow work before the fold, or None.
    """

    role: str
    input_topic: str
    changelog_topic: str
    dead_letter_topic: str
    fold_version: int
    codec: StateCodec[S]
    time_grid_ms: int = 1
    plain: Plain[S] | None = None
    stage: Stage[P] | None = None

    @property
    def group(self) -> str:
        """The consumer group, and the beginning of the transactional ids."""
        return f"tidemark.{self.role}"

    @abstractmethod
    def parse(self, record: Record) -> Parsed[P]:
        """Read a record. Raises ``Rejected``: it becomes a dead letter."""

    def plain_from(self, partition: int) -> int:
        """The first offset from which on records may be plain: those before it all pass through ``parse``."""
        return 0

    def hint(self, state: S | None, payload: P) -> None:
        """A record is about to enter the stage: put into the payload what the stage should know of the key's state.

        The state is that of the records folded so far, not of those on their way, and may not be mutated. What the
        stage makes of it has to be in its answer, since a repeat may see another state.
        """

    @abstractmethod
    def fold(self, state: S | None, parsed: Parsed[P], answer: Any, context: Context[P]) -> S | None:
        """Fold a record into its key's state, which may be mutated. None: the key has no state any more.

        Args:
            answer: what the stage answered; None when the record did not pass through it.

        Raises:
            Rejected: the record becomes a dead letter and the state stays as it was; nothing may be mutated or emitted
                before.
        """

    @abstractmethod
    def on_timer(self, state: S, due: int, context: Context[P]) -> S | None:
        """A key's due time has come. Its effects depend on ``due`` and state alone, not on when it is noticed. The next
        due time, if any, lies behind ``due``."""

    @abstractmethod
    def due(self, state: S, /) -> int:
        """Epoch milliseconds at which ``on_timer`` is wanted; 0 for never."""

    def waiting(self, state: S) -> bool:
        """Whether ``on_signal`` is wanted at the next signal."""
        return False

    def on_signal(self, state: S, context: Context[P]) -> S | None:
        """A signal came while ``waiting``. The state may not wait any more afterwards."""
        return state

    def on_time(self, time: int, context: Context[P]) -> None:
        """Partition time moved on to ``time``, the first in its cell of ``time_grid_ms``, and all timers up to it have
        fired."""

    def tick(self, time: int) -> tuple[bytes, Headers] | None:
        """Value and headers of a tick for the input topic, or None where ticks are not this processor's to write."""
        return None

    def signal(self, time: int) -> tuple[bytes, Headers] | None:
        """Value and headers of a signal for the input topic, or None where there are none."""
        return None

    def new_shared(self) -> Any:
        """A partition's shared state when it has none yet."""
        return None

    def encode_shared(self, shared: Any) -> bytes:
        return b""

    def decode_shared(self, encoded: bytes) -> Any:
        return self.new_shared()

    def counters(self) -> dict[str, int]:
        """Running totals of the processor's own, by name, for the metrics. What an abort repeats counts again."""
        return {}

    def worth_noting(self) -> dict[str, str]:
        """Short facts for the commit's metadata, such as the model in use; ``tidemark status`` shows them."""
        return {}

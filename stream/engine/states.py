"""The keyed states of one partition between two commits: decoded when touched, handed over as bytes at the commit.

The timers and the keys that wait for a signal are kept here too, because they follow from the states. Knows no records
and no offsets: those are the partition's (``stream.engine.partition``), which alone calls this.
"""

from itertools import islice
from typing import Any, Final, Generic, NamedTuple, TypeVar

from stream.engine.position import HEADER_BYTES, Position, due_of, frame, is_waiting
from stream.engine.processor import OutputTooLarge, Processor
from stream.engine.stores.store import Store
from stream.engine.timers import FOREVER, Timers

try:
    from stream.engine._fast_path import framed_changes
except ImportError:  # There was no compiler.
    framed_changes = None  # type: ignore[assignment]

S = TypeVar("S")

NEAR_TIMERS: Final = 20_000
"""Timers of a partition that are kept in memory, the nearest ones, where the store finds the others by time."""
FIRST_TIMERS: Final = 1_000
"""Timers that are looked up before the first record is folded. Each costs a random read of its state, 10 to 20 us:
``NEAR_TIMERS`` of each of four partitions took longer than the rest of a start from a local store together. Time seldom
moves past these at once, and then the next ones are looked up."""


class Before(NamedTuple):
    """How a key stood before a step that may fail."""

    encoded: bytes | None
    due: int
    waiting: bool
    touched: bool
    muted: bytes | None


class States(Generic[S]):
    """States by key, over a store that holds what was committed.

    Args:
        cached: decoded states kept beyond a commit; the rest is kept as bytes.
        max_bytes: of a changelog value; more than that the broker does not take.

    Attributes:
        decoded: by key; None for one that has no state.
        touched: keys that the changelog has to learn about.
        muted: the framed bytes of keys whose timer or signal failed.
        max_bytes: of a changelog value.
    """

    def __init__(self, processor: Processor[S, Any], store: Store, cached: int, max_bytes: int) -> None:
        self.store = store
        self.timers = Timers()
        self._codec = processor.codec
        self._due = processor.due
        self._waiting = processor.waiting
        self._may_wait = type(processor).waiting is not Processor.waiting
        self._cached = cached
        self.max_bytes = max_bytes
        self.decoded: dict[bytes, S | None] = {}
        self.touched: set[bytes] = set()
        self.muted: dict[bytes, bytes] = {}

    def load_timers(self) -> None:
        """Take due times and waiting keys from the store's content."""
        self.timers.waiting.update(self.store.waiting())
        dues, self.timers.horizon = self.store.due(0, min(FIRST_TIMERS, NEAR_TIMERS))
        self.timers.load(dues)

    def next_timer(self, time: int) -> tuple[int, bytes] | None:
        """Take out the earliest timer that is due at ``time``; equal due times in order of key."""
        timers = self.timers
        while not timers.none_due(time):
            fired = timers.pop(min(time, timers.horizon - 1))
            if fired is not None:
                return fired
            if time >= timers.horizon:
                # Of what was touched since the commit the store does not know the newest.
                dues, horizon = self.store.due(timers.horizon, NEAR_TIMERS)
                timers.extend(horizon, ((key, due) for key, due in dues if key not in self.touched))
        return None

    def due_of(self, key: bytes) -> int:
        """Due time of ``key``, wherever it is known; 0 when it has none."""
        timers = self.timers
        due = timers.due_of(key)
        if due or timers.horizon == FOREVER or key in self.touched:
            return due
        framed = self.store.get(key)
        return 0 if framed is None else due_of(framed)

    @property
    def changed(self) -> bool:
        return bool(self.touched)

    def get(self, key: bytes) -> S | None:
        """The state of ``key``, which the caller may mutate if it then calls ``keep``, ``put_back`` or ``spoil``.

        Raises:
            StateUnreadable: its bytes cannot be decoded.
            NewerState: they were written by a newer version.
        """
        decoded = self.decoded
        if key in decoded:
            return decoded[key]
        framed = self.store.get(key)
        state = None if framed is None else self._codec.decode(framed[HEADER_BYTES:])
        decoded[key] = state
        return state

    def keep(self, key: bytes, state: S | None) -> None:
        """What a step has made of ``key``; None: it has no state any more."""
        self.decoded[key] = state
        self.touched.add(key)
        if self.muted:
            self.muted.pop(key, None)
        timers = self.timers
        if state is None:
            timers.set(key, 0)
            timers.waiting.discard(key)
            return
        timers.set(key, self._due(state))
        if self._waiting(state):
            timers.waiting.add(key)
        elif timers.waiting:
            timers.waiting.discard(key)

    def spoil(self, key: bytes) -> None:
        """A step failed with ``key`` in hand: state and timer may be half changed, and the roll-back has to know."""
        self.touched.add(key)

    def mute(self, key: bytes) -> None:
        """Keep a state's bytes but take its timer and its waiting away, or a failing timer would fire at every
        restart."""
        state = self.decoded.get(key)
        encoded = self._codec.encode(state) if state is not None else (self.store.get(key) or b"")[HEADER_BYTES:]
        self.muted[key] = frame(0, False, encoded)
        self.touched.add(key)
        self.timers.set(key, 0)
        self.timers.waiting.discard(key)

    # -- one step at a time ------------------------------------------

    def before(self, key: bytes) -> Before:
        """How ``key`` stands, for ``put_back``. Raises what ``get`` raises."""
        state = self.get(key)
        return Before(
            encoded=None if state is None else self._codec.encode(state),
            due=self.timers.due_of(key),
            waiting=key in self.timers.waiting,
            touched=key in self.touched,
            muted=self.muted.get(key),
        )

    def put_back(self, key: bytes, before: Before) -> None:
        """Undo a step of one key."""
        self.decoded[key] = None if before.encoded is None else self._codec.decode(before.encoded)
        self.timers.set(key, before.due)
        if before.waiting:
            self.timers.waiting.add(key)
        else:
            self.timers.waiting.discard(key)
        if before.muted is not None:
            self.muted[key] = before.muted
        if not before.touched:
            self.touched.discard(key)

    # -- commit ------------------------------------------------------

    def framed(self, key: bytes) -> bytes | None:
        """What the changelog is to hold of a key that was touched; None deletes.

        Raises:
            OutputTooLarge: more than the broker takes.
            Exception: whatever the codec raises for a state that it cannot encode.
        """
        if key in self.muted:
            return self.muted[key]
        state = self.decoded[key]
        if state is None:
            return None
        framed = frame(self._due(state), self._waiting(state), self._codec.encode(state))
        if len(framed) > self.max_bytes:
            raise OutputTooLarge(f"a state has {len(framed):,} bytes, the limit is {self.max_bytes:,}")
        return framed

    def changes(self) -> dict[bytes, bytes | None]:
        """What the changelog has to learn. Raises what ``framed`` raises."""
        if framed_changes is None or self.muted or self._may_wait:
            return {key: self.framed(key) for key in self.touched}
        return framed_changes(self, self.touched, self.decoded, self._codec.encode, self._due)

    def committed(self, changed: dict[bytes, bytes | None], position: Position, changelog_offset: int) -> None:
        """What was touched is now what was committed."""
        self.store.write(changed, position, changelog_offset, fired_until=position.time + 1)
        self.timers.settle(NEAR_TIMERS if self.store.indexed else None)
        self.touched.clear()
        self.muted.clear()
        decoded = self.decoded
        excess = len(decoded) - self._cached
        if excess > 0:
            for key in list(islice(decoded, excess)):
                del decoded[key]

    def roll_back(self) -> None:
        """Back to the last commit, whose bytes the store still holds."""
        timers = self.timers
        for key in self.touched:
            self.decoded.pop(key, None)
            framed = self.store.get(key)
            timers.set(key, 0 if framed is None else due_of(framed))
            if framed is not None and is_waiting(framed):
                timers.waiting.add(key)
            else:
                timers.waiting.discard(key)
        self.touched.clear()
        self.muted.clear()

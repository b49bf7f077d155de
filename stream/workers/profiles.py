"""The profiles role: events in, rolling states in the changelog, score requests out.

Also carries partition time on to the decisions role, which sees no event of a customer who is silent. Built by
``stream.workers.process``.
"""

import struct
from typing import Any, Final

import msgspec
import structlog

from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.emission import Headers, Rejected
from stream.contracts.erasures import Erasure, Role
from stream.contracts.events import Event
from stream.contracts.headers import ERASED_BY, ERASED_FOR, TICK, header, redrives
from stream.contracts.partitioning import partition_for
from stream.contracts.scores import ScoreRequest
from stream.contracts.times import MINUTE_MS
from stream.contracts.topics import TopicNames
from stream.engine.processor import Context, NewerState, Parsed, Processor, Record, StateUnreadable
from stream.profiles import codec, timers
from stream.profiles.fold import FOLD_VERSION, fold
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings
from stream.profiles.validation import read_event
from stream.workers.erased import Erasures

_OTHER_FOLD = ""
"""Why the compiled fold may not be used; "" where it may, or where there is none."""
try:
    from stream.profiles._plain import PlainPath
except ImportError as error:
    PlainPath = None  # type: ignore[assignment,misc]
    # Else there was no compiler.
    if not isinstance(error, ModuleNotFoundError):
        _OTHER_FOLD = str(error)

ROLE: Final[Role] = "profiles"

TIME_GRID_MS: Final = 15 * MINUTE_MS
"""Partition time is passed on when it crosses a multiple of this, so that what is passed on depends on the log alone.
An alert of a silent customer ends at most this much too late."""

_GRID: Final = struct.Struct(">q")

_log = structlog.get_logger(__name__)


class ProfileCodec:
    """``stream.profiles.codec`` with the errors that the engine knows."""

    encode = staticmethod(codec.encode)

    def decode(self, encoded: bytes) -> Profile:
        try:
            return codec.decode(encoded)
        except codec.NewerCodec as error:
            raise NewerState(str(error)) from error
        except codec.StateUnreadable as error:
            raise StateUnreadable(str(error)) from error


class Folding(msgspec.Struct, gc=False):
    """An event on its way to the fold."""

    event: Event
    redriven: bool
    erasure: Erasure | None = None
    """What is to be remembered of an event of type ``erase``."""


class Grid(msgspec.Struct):
    """The partition's shared state: the last multiple of ``TIME_GRID_MS`` that was passed on."""

    passed: int = 0


class ProfilesProcessor(Processor[Profile, Folding]):
    """Folds events into profiles.

    Args:
        partitions: of the events topic; a record on another partition than its key's is refused.
        version: of this program, written into the header of its ticks.
        erasures: that this role has folded before; what lies before them is skipped.

    Attributes:
        duplicates: events that were dropped because their id was seen before.
    """

    role = ROLE
    fold_version = FOLD_VERSION
    codec = ProfileCodec()
    time_grid_ms = TIME_GRID_MS

    def __init__(
        self,
        names: TopicNames,
        settings: ProfileSettings,
        partitions: int,
        version: str,
        erasures: Erasures | None = None,
    ) -> None:
        self.input_topic = names.physical(topics.EVENTS)
        self.changelog_topic = names.changelog(ROLE)
        self._group = names.group(ROLE)
        self.dead_letter_topic = names.physical(topics.DEAD_LETTERS)
        self.duplicates = 0
        self._requests_topic = names.physical(topics.SCORE_REQUESTS)
        self._erasures_topic = names.physical(topics.ERASURES)
        self._erasures = erasures or Erasures()
        self._settings = settings
        self._partitions = partitions
        self._tick_headers: Headers = ((TICK, version.encode()),)
        # A fold that is derived from this one would be passed by.
        own_fold = type(self).fold is not ProfilesProcessor.fold
        self._compiled = None if own_fold or PlainPath is None else PlainPath(settings, partitions, self._ask)
        self.plain = self._compiled
        if _OTHER_FOLD:
            _log.warning("fast path is not used, Python does its work: compile it anew", reason=_OTHER_FOLD)

    @property
    def group(self) -> str:
        return self._group

    def plain_from(self, partition: int) -> int:
        return self._erasures.end(partition)

    def parse(self, record: Record) -> Parsed[Folding]:
        if record.key is not None and self._erasures.before(record.key, record.partition, record.offset):
            return self._skipped(record)
        event = read_event(record.value, record.key, record.headers, record.append_time, self._settings)
        time = event.time
        assert isinstance(time, int)  # noqa: S101 - for the type checker: read_event has made it so
        key = record.key
        if event.type == "tick" or key is None:
            return Parsed(None, time, Folding(event, False))
        if partition_for(key, self._partitions) != record.partition:
            raise Rejected(
                "wrong_partition",
                f"the key belongs to partition {partition_for(key, self._partitions)} by murmur2: set the producer's "
                "partitioner to murmur2_random",
            )
        erasure = self._erasure(record) if event.type == "erase" else None
        return Parsed(key, time, Folding(event, bool(record.headers) and redrives(record.headers) > 0, erasure))

    def fold(
        self, state: Profile | None, parsed: Parsed[Folding], answer: Any, context: Context[Folding]
    ) -> Profile | None:
        event = parsed.payload.event
        profile, request, outcome = fold(
            state, event, parsed.time, context.origin, self._settings, parsed.payload.redriven
        )
        if request is not None:
            self._ask(request, context)
        elif outcome == "duplicate":
            self.duplicates += 1
        if parsed.payload.erasure is not None:
            self._remember(event.subject, parsed.payload.erasure, context)
        return profile

    def on_timer(self, state: Profile, due: int, context: Context[Folding]) -> Profile | None:
        profile, request = timers.on_timer(state, due, context.origin, self._settings)
        if request is not None:
            self._ask(request, context)
        return profile

    due = staticmethod(timers.due)

    def on_time(self, time: int, context: Context[Folding]) -> None:
        passed = time - time % TIME_GRID_MS
        grid: Grid = context.shared
        if passed > grid.passed:
            grid.passed = passed
            tick = messages.encode(ScoreRequest(kind="tick", as_of=passed))
            context.emit(self._requests_topic, None, tick, (), context.origin.partition)

    def tick(self, time: int) -> tuple[bytes, Headers] | None:
        return messages.encode(Event(event_id=f"tick-{time}", type="tick", time=time)), self._tick_headers

    def counters(self) -> dict[str, int]:
        return {"duplicates": self.duplicates + (self._compiled.duplicates if self._compiled is not None else 0)}

    def new_shared(self) -> Grid:
        return Grid()

    def encode_shared(self, shared: Grid) -> bytes:
        return _GRID.pack(shared.passed)

    def decode_shared(self, encoded: bytes) -> Grid:
        return Grid(_GRID.unpack(encoded)[0])

    def _skipped(self, record: Record) -> Parsed[Folding]:
        """Of an event before its customer's erasure the time alone counts, as it did when others' timers fired."""
        try:
            event = read_event(record.value, record.key, record.headers, record.append_time, self._settings)
        except Rejected:
            # It moved no time then, and no letter is to hold again what was erased.
            event = Event(event_id="", type="tick", time=0)
        assert isinstance(event.time, int)  # noqa: S101 - for the type checker: read_event has made it so
        return Parsed(None, event.time, Folding(event, False))

    def _erasure(self, record: Record) -> Erasure:
        actor, reason = (header(record.headers, name) or b"" for name in (ERASED_BY, ERASED_FOR))
        return Erasure(
            role=ROLE,
            topic_id=self._erasures.topic_id,
            partition=record.partition,
            offset=record.offset,
            erased_at=record.append_time,
            actor=actor.decode(errors="replace"),
            reason=reason.decode(errors="replace"),
        )

    def _remember(self, subject: str, erasure: Erasure, context: Context[Folding]) -> None:
        key = subject.encode()
        if not self._erasures.has(key, erasure):
            context.emit(self._erasures_topic, self._erasures.key(key), messages.encode(erasure))

    def _ask(self, request: ScoreRequest, context: Context[Folding]) -> None:
        context.emit(self._requests_topic, request.customer_id.encode(), messages.encode(request))

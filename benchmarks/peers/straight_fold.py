"""What must come of a log of events: Tidemark's fold and timers taken straight, and the comparison with a system.

Shares ``stream.profiles`` with the role and nothing with the engine: a loop over the records of each partition, with a
heap for the timers. Called by ``benchmarks.peers.whole_fold`` and its test.
"""

import heapq
from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Final, NamedTuple

import msgspec
from confluent_kafka import Message

from benchmarks.peers.oracle import WrongResult
from stream.contracts.codec import decode_score_request, encode
from stream.contracts.emission import Origin, Rejected
from stream.contracts.scores import ScoreRequest
from stream.profiles import categories, codec, items, timers
from stream.profiles.fold import fold
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings
from stream.profiles.validation import event_time, read_event

FLOAT_TOLERANCE: Final = 1e-12
"""Relative. Another language's power of two may differ from C's in the last bit."""

_SUMS: Final = Struct("<4d")
_TABLES: Final[Mapping[str, Struct]] = {
    **dict.fromkeys((name for name in Profile.__struct_fields__ if name.endswith("_counts")), _SUMS),
    "purchase_amounts": _SUMS,
    "items": items.ROW,
    "categories": categories.ROW,
}
"""Tables of a profile that hold decayed values, and their rows."""


class Refusal(NamedTuple):
    """A record that must be a dead letter."""

    key: bytes
    value: bytes
    code: str


class Found(NamedTuple):
    """What a system has made of the log."""

    states: Mapping[bytes, bytes]
    """Encoded profiles by customer."""
    requests: Iterable[bytes]
    """Values of the score requests, without ticks."""
    refused: Iterable[Refusal]


class _Partition:
    """The states and timers of one partition."""

    def __init__(self) -> None:
        self.states: dict[bytes, Profile] = {}
        self.time = 0
        self.due: dict[bytes, int] = {}
        self.heap: list[tuple[int, bytes]] = []


class StraightFold:
    """Folds the records of a log, each partition's in their order.

    Args:
        settings: of the deployment.

    Attributes:
        requests: the values of the score requests that must be put out, by their id.
        refused: the records that must be dead letters.
    """

    def __init__(self, settings: ProfileSettings) -> None:
        self.requests: dict[str, bytes] = {}
        self.refused: set[Refusal] = set()
        self._settings = settings
        self._partitions: dict[int, _Partition] = {}

    @property
    def states(self) -> dict[bytes, Profile]:
        """The states that customers must have."""
        return {key: profile for one in self._partitions.values() for key, profile in one.states.items()}

    def see(self, message: Message) -> None:
        """The next record of its partition."""
        key, value, number = message.key() or b"", message.value() or b"", message.partition() or 0
        partition = self._partitions.setdefault(number, _Partition())
        origin = Origin(message.topic() or "", number, message.offset() or 0)
        try:
            event = read_event(value, key, (), message.timestamp()[1], self._settings)
            time = event_time(event)
            self._pass_time(partition, key, time, origin)
            profile, request, _ = fold(partition.states.get(key), event, time, origin, self._settings)
        except Rejected as refusal:
            self.refused.add(Refusal(key, value, refusal.code))
            return
        self._keep(partition, key, profile, request)

    def _pass_time(self, partition: _Partition, key: bytes, time: int, origin: Origin) -> None:
        if time > partition.time:
            while partition.heap and partition.heap[0][0] <= time:
                due, silent = heapq.heappop(partition.heap)
                if partition.due.get(silent) == due:
                    self._fire(partition, silent, due, origin)
            partition.time = time
        else:
            while 0 < (due := partition.due.get(key, 0)) <= time:
                self._fire(partition, key, due, origin)

    def _fire(self, partition: _Partition, key: bytes, due: int, origin: Origin) -> None:
        partition.due[key] = 0
        profile, request = timers.on_timer(partition.states[key], due, origin, self._settings)
        self._keep(partition, key, profile, request)

    def _keep(self, partition: _Partition, key: bytes, profile: Profile | None, request: ScoreRequest | None) -> None:
        if request is not None:
            self.requests[request.request_id] = encode(request)
        if profile is None:
            partition.states.pop(key, None)
            partition.due[key] = 0
            return
        partition.states[key] = profile
        due = timers.due(profile)
        if due != partition.due.get(key, 0):
            partition.due[key] = due
            if due:
                heapq.heappush(partition.heap, (due, key))

    # -- the comparison ----------------------------------------------

    def check(self, found: Found, *, exact: bool) -> None:
        """Compare what a system has made of the whole log.

        Args:
            exact: every byte must be the same; else decayed values may differ by ``FLOAT_TOLERANCE``.

        Raises:
            WrongResult: with the first difference.
        """
        states = self.states
        _same_keys("customers with a state", found.states.keys(), states.keys())
        for key, state in found.states.items():
            wanted = codec.encode(states[key])
            if state != wanted and (exact or not _close(state, wanted)):
                raise WrongResult(
                    f"customer {key.decode()}: the state is {codec.decode(state)}, and must be {states[key]}"
                )
        asked: set[str] = set()
        for value in found.requests:
            request = decode_score_request(value)
            if request.request_id in asked:
                raise WrongResult(f"score request {request.request_id} was put out twice")
            asked.add(request.request_id)
            if value != self.requests.get(request.request_id, value):
                self._check_request(request, exact)
        _same_keys("score requests", asked, self.requests.keys())
        refused = list(found.refused)
        if len(refused) != len(self.refused) or set(refused) != self.refused:
            raise WrongResult(f"{len(refused):,} records were refused, {len(self.refused):,} must be")

    def _check_request(self, found: ScoreRequest, exact: bool) -> None:
        wanted = decode_score_request(self.requests[found.request_id])
        close = not exact and _close(found.profile, wanted.profile)
        if not close or msgspec.structs.replace(found, profile=wanted.profile) != wanted:
            raise WrongResult(f"score request {found.request_id}: it is {found}, and must be {wanted}")


def _same_keys(what: str, found: Iterable[object], wanted: Iterable[object]) -> None:
    odd = set(found) ^ set(wanted)
    if odd:
        raise WrongResult(f"{what}: {len(odd):,} are lost or invented, such as {min(odd, key=str)}")


def _close(found: bytes, wanted: bytes) -> bool:
    """Whether two profiles are the same but for the rounding of decayed values."""
    one, other = codec.decode(found), codec.decode(wanted)
    return all(_close_field(name, getattr(one, name), getattr(other, name)) for name in Profile.__struct_fields__)


def _close_field(name: str, one: object, other: object) -> bool:
    if isinstance(one, bytes) and isinstance(other, bytes) and name in _TABLES and len(one) == len(other):
        rows = zip(_TABLES[name].iter_unpack(one), _TABLES[name].iter_unpack(other), strict=True)
        return all(_close_value(left, right) for row in rows for left, right in zip(*row, strict=True))
    return _close_value(one, other)


def _close_value(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= FLOAT_TOLERANCE * max(abs(one), abs(other))
    return one == other

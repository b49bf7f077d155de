"""What must have come out: a straight fold of the log, one partition after the other, one record at a time.

It shares no code with the engine or the workers. It calls the pure functions of ``stream.profiles`` and
``stream.decisions``, keeps timers in a sorted list, and commits, restores and batches nothing. Called by the checker.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.emission import Origin, Output, Rejected
from stream.contracts.headers import redrives
from stream.contracts.partitioning import partition_for
from stream.contracts.scores import Answer, ModelStamp, ScoreRequest
from stream.decisions import codec as decision_codec
from stream.decisions import decide
from stream.decisions import timers as decision_timers
from stream.decisions.budget import Budget
from stream.decisions.deployment import Deployment
from stream.decisions.policies import PoliciesInForce
from stream.decisions.state import DecisionState
from stream.profiles import codec as profile_codec
from stream.profiles import timers as profile_timers
from stream.profiles.fold import fold
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings
from stream.profiles.validation import read_event
from tests.chaos.read_back import Record

S = TypeVar("S")

GRID_MS: Final = 15 * 60 * 1000
"""Profiles pass partition time on when it crosses a multiple of this."""
MODEL_BACK: Final = "tidemark-model-back"
_WAITING: Final = 1 << 62

UNANSWERED: Final = Answer({"30d": 0.5, "60d": 0.5, "90d": 0.5}, {}, 0.0, 0.0, "", [], ModelStamp("nobody", "", ""))
"""Stands in where a request has no answer on record: the score that it makes is missing from the topic."""


class Refused(NamedTuple):
    """A dead letter that must be there."""

    origin: Origin
    code: str
    record: Record


class Expected(NamedTuple):
    """What one partition's log must have led to.

    Attributes:
        outputs: in the order in which they must have been written.
        states: encoded, by key.
        dues: by key, as they stand in the changelog.
        time: partition time, epoch milliseconds.
        shared: the shared state, as a value.
    """

    outputs: list[Output]
    refused: list[Refused]
    states: dict[bytes, bytes]
    dues: dict[bytes, int]
    time: int
    shared: object


class _Timers(Generic[S]):
    """States and their due times, as plainly as can be: a sorted list of (due, key)."""

    def __init__(self, due: Callable[[S], int]) -> None:
        self.states: dict[bytes, S] = {}
        self._due = due
        self._times: dict[bytes, int] = {}
        self._list: list[tuple[int, bytes]] = []

    def put(self, key: bytes, state: S | None) -> None:
        if self._times.get(key):
            del self._list[bisect_left(self._list, (self._times.pop(key), key))]
        if state is None:
            self.states.pop(key, None)
            return
        self.states[key] = state
        due = self._due(state)
        if due:
            self._times[key] = due
            insort(self._list, (due, key))

    def next(self, until: int) -> tuple[int, bytes] | None:
        """The earliest timer, if it is due by ``until``."""
        return self._list[0] if self._list and self._list[0][0] <= until else None

    def due_of(self, key: bytes) -> int:
        return self._times.get(key, 0)


def fold_events(
    topic: str, records: Sequence[Record], until: int, partitions: int, settings: ProfileSettings
) -> Expected:
    """Fold one partition of the events topic.

    Args:
        until: offset behind the last record to fold.
    """
    profiles: _Timers[Profile] = _Timers(profile_timers.due)
    outputs: list[Output] = []
    refused: list[Refused] = []
    now = passed = 0

    def ask(request: ScoreRequest | None) -> None:
        if request is not None:
            outputs.append(Output(topics.SCORE_REQUESTS, request.customer_id.encode(), messages.encode(request)))

    for record in records:
        if record.offset >= until:
            break
        origin = Origin(topic, record.partition, record.offset)
        try:
            event = read_event(record.value, record.key, record.headers, record.timestamp, settings)
            key, time = record.key, event.time
            assert isinstance(time, int)
            if key is not None and partition_for(key, partitions) != record.partition:
                raise Rejected("wrong_partition", "")
        except Rejected as refusal:
            refused.append(Refused(origin, refusal.code, record))
            continue
        if time > now:
            while (timer := profiles.next(time)) is not None:
                due, of = timer
                fired = profile_timers.on_timer(profiles.states[of], due, origin, settings)
                ask(fired.request)
                profiles.put(of, fired.profile)
            now = time
            if time - time % GRID_MS > passed:
                passed = time - time % GRID_MS
                tick = messages.encode(ScoreRequest(kind="tick", as_of=passed))
                outputs.append(Output(topics.SCORE_REQUESTS, b"", tick))
        if key is None:
            continue
        while 0 < (due := profiles.due_of(key)) <= time:
            # Others were faster: what is due for this customer by now comes before what the customer did now.
            fired = profile_timers.on_timer(profiles.states[key], due, origin, settings)
            ask(fired.request)
            profiles.put(key, fired.profile)
        try:
            folded = fold(profiles.states.get(key), event, time, origin, settings, redrives(record.headers) > 0)
        except Rejected as refusal:
            refused.append(Refused(origin, refusal.code, record))
            continue
        ask(folded.request)
        profiles.put(key, folded.profile)
    states = {key: profile_codec.encode(profile) for key, profile in profiles.states.items()}
    return Expected(outputs, refused, states, {key: profiles.due_of(key) for key in states}, now, passed)


def fold_requests(
    topic: str,
    records: Sequence[Record],
    until: int,
    answers: Mapping[tuple[int, int], Answer],
    policies: PoliciesInForce,
    deployment: Deployment,
) -> Expected:
    """Fold one partition of the score-requests topic, with answers as they were recorded, by partition and offset of
    the request."""
    decisions: _Timers[DecisionState] = _Timers(decision_timers.due)
    outputs: list[Output] = []
    refused: list[Refused] = []
    budget = Budget()
    now = 0
    for record in records:
        if record.offset >= until:
            break
        origin = Origin(topic, record.partition, record.offset)
        request = messages.decode_score_request(record.value or b"")
        if request.as_of > now:
            while (timer := decisions.next(request.as_of)) is not None:
                due, of = timer
                after, more = decision_timers.on_timer(decisions.states[of], due, policies, deployment)
                outputs += more
                decisions.put(of, after)
            now = request.as_of
        if request.kind == "tick":
            if any(name == MODEL_BACK for name, _ in record.headers):
                for of in sorted(of for of, state in decisions.states.items() if decision_timers.waiting(state)):
                    after, more = decision_timers.ask_again(decisions.states[of])
                    outputs += more
                    decisions.put(of, after)
            continue
        key = request.customer_id.encode()
        while 0 < (due := decisions.due_of(key)) <= request.as_of:
            after, more = decision_timers.on_timer(decisions.states[key], due, policies, deployment)
            outputs += more
            decisions.put(key, after)
        state = decisions.states.get(key)
        left: DecisionState | None
        if request.kind == "erase":
            left, more = decide.erase(state, request, policies, deployment)
        elif request.kind == "consent":
            left, more = decide.consent(state, request, policies, deployment)
        else:
            answer = answers.get((record.partition, record.offset), UNANSWERED)
            profile = profile_codec.decode(request.profile)
            left, more = decide.decide(state, request, origin, answer, profile, budget, policies, deployment)
        outputs += more
        decisions.put(key, left)
    states = {key: decision_codec.encode(state) for key, state in decisions.states.items()}
    dues = {
        key: decisions.due_of(key) | (_WAITING if decision_timers.waiting(decisions.states[key]) else 0)
        for key in states
    }
    return Expected(outputs, refused, states, dues, now, msgspec.to_builtins(budget))

"""The decisions role: score requests in; answers, predictions, alerts and recommendations out.

A request passes through the scoring stage before it is folded, so no transaction is open while a model is asked. Built
by ``stream.workers.process``.
"""

from collections import Counter
from itertools import product
from typing import Final, Protocol, get_args

import msgspec

from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.alerts import Alert, AlertStatus
from stream.contracts.emission import Headers, Output, Rejected
from stream.contracts.erasures import Erasure, Role
from stream.contracts.headers import header
from stream.contracts.scores import Answer, ScoreRequest
from stream.contracts.times import HOUR_MS
from stream.contracts.topics import FILLER_KEY, TopicNames
from stream.decisions import codec, decide, prospects, repair, timers
from stream.decisions.budget import Budget
from stream.decisions.deployment import Deployment
from stream.decisions.policies import KINDS, AlertKind, PoliciesInForce
from stream.decisions.state import DecisionState
from stream.decisions.verdicts import Witness
from stream.engine.processor import Context, NewerState, Parsed, Processor, Record, Stage, StateUnreadable
from stream.profiles import codec as profile_codec
from stream.profiles.profile import Profile
from stream.workers.erased import Erasures

ROLE: Final[Role] = "decisions"

FILLER_GRID_MS: Final = 6 * HOUR_MS
"""A null for nobody goes to each compacted output whenever partition time crosses a multiple of this, so that Kafka
closes the segments of a partition whose customers are silent, and erased bytes leave it in the stated time."""

_TRANSITIONS: Final = (topics.ALERTS, topics.ALERTS_HOLDOUT)
_COMPACTED: Final = (topics.PREDICTIONS, topics.RECOMMENDATIONS, topics.ALERTS_OPEN)

MODEL_BACK: Final = "tidemark-model-back"
"""Header of the record that says that the model answers again; every customer whom a fallback answered is asked
again."""

_encode_budget: Final = msgspec.msgpack.Encoder().encode
_decode_budget: Final = msgspec.msgpack.Decoder(Budget).decode


class DecisionCodec:
    """``stream.decisions.codec`` with the errors that the engine knows."""

    encode = staticmethod(codec.encode)

    def decode(self, encoded: bytes) -> DecisionState:
        try:
            return codec.decode(encoded)
        except profile_codec.NewerCodec as error:
            raise NewerState(str(error)) from error
        except profile_codec.StateUnreadable as error:
            raise StateUnreadable(str(error)) from error


class Question(msgspec.Struct):
    """A request on its way through the stage to the fold, with the profile that it carried."""

    request: ScoreRequest
    profile: Profile | None
    asked_at: int
    """When the broker appended the request, epoch milliseconds."""
    free: frozenset[AlertKind] = frozenset()
    """Kinds of alert that it may raise, as far as was known when it came in."""


def read_request(record: Record) -> Parsed[Question]:
    """The question in a record of the score requests.

    Raises:
        Rejected: it is none, with a code of the table "Bad input".
        NewerState: its profile was written by a newer version.
    """
    try:
        request = messages.decode_score_request(record.value or b"")
    except msgspec.ValidationError as error:
        raise Rejected("wrong_shape", f"not a score request: {error}") from error
    except msgspec.DecodeError as error:
        raise Rejected("not_json", f"not a score request: {error}") from error
    if request.kind == "tick":
        signal = bool(record.headers) and header(record.headers, MODEL_BACK) is not None
        return Parsed(None, request.as_of, Question(request, None, record.append_time), signal)
    if record.key != request.customer_id.encode():
        raise Rejected("wrong_key", "the key is not the customer_id: this topic is written by Tidemark alone")
    profile = None
    if request.kind == "score":
        try:
            profile = profile_codec.decode(request.profile)
        except profile_codec.NewerCodec as error:
            raise NewerState(str(error)) from error
        except profile_codec.StateUnreadable as error:
            raise Rejected("wrong_shape", str(error), "$.profile") from error
    return Parsed(record.key, request.as_of, Question(request, profile, record.append_time))


class ModelsInForce(Protocol):
    """Which version of the model is in force, and the policies that go with each."""

    def policies_of(self, version: str, as_of: int) -> PoliciesInForce:
        """The policies for answers of ``version`` to questions as of ``as_of``; those of the first version for one that
        is not known."""

    def policies_for(self, customer_id: str, asked_at: int, as_of: int) -> PoliciesInForce:
        """The policies of the version whose turn it was, where a fallback answered for it."""

    def remembered(self, alert: Alert | None) -> PoliciesInForce:
        """The policies that an alert was last judged by."""

    def applied(self) -> str:
        """Name of the policies that the last change known here leads to."""

    def in_force(self) -> str:
        """Name and version of the model in force now, for `tidemark status`."""


class DecisionsProcessor(Processor[DecisionState, Question]):
    """Turns answered requests into alerts and recommendations.

    Args:
        models: says which version is in force, and by which policies its answers are judged.
        stage: answers questions; see ``stream.workers.scoring`` and ``stream.workers.recorded``.
        erasures: that this role has folded before; what was asked because of older events is skipped.

    Attributes:
        witness: is shown what alerts are judged by; for whoever asks why.
        transitions: of alerts of both arms, by kind and status, since the start. What an abort repeats counts again.
    """

    role = ROLE
    fold_version = decide.FOLD_VERSION
    codec = DecisionCodec()
    time_grid_ms = FILLER_GRID_MS

    def __init__(
        self,
        names: TopicNames,
        models: ModelsInForce,
        deployment: Deployment,
        stage: Stage[Question],
        erasures: Erasures | None = None,
    ) -> None:
        self.input_topic = names.physical(topics.SCORE_REQUESTS)
        self.changelog_topic = names.changelog(ROLE)
        self._group = names.group(ROLE)
        self.dead_letter_topic = names.physical(topics.DEAD_LETTERS)
        self.stage = stage
        self._physical = {name: names.physical(name) for name in topics.TOPICS}
        self._models = models
        self._deployment = deployment
        self._erasures = erasures or Erasures()
        self.witness: Witness | None = None
        # From 0 on: a series that begins with its first alert would hide that one from a rate.
        self.transitions: Counter[tuple[str, str]] = Counter()
        self.transitions.update(dict.fromkeys(product(KINDS, get_args(AlertStatus)), 0))

    @property
    def group(self) -> str:
        return self._group

    def parse(self, record: Record) -> Parsed[Question]:
        parsed = read_request(record)
        request = parsed.payload.request
        if parsed.key is not None and self._erasures.before(parsed.key, request.events_partition, request.last_offset):
            # Of what was asked before an erasure the time alone counts.
            return Parsed(None, parsed.time, Question(ScoreRequest(kind="tick", as_of=request.as_of), None, 0))
        return parsed

    def hint(self, state: DecisionState | None, payload: Question) -> None:
        payload.free = prospects.free_kinds(
            state,
            payload.request,
            self._models.policies_for(payload.request.customer_id, payload.asked_at, payload.request.as_of),
        )

    def fold(
        self, state: DecisionState | None, parsed: Parsed[Question], answer: Answer | None, context: Context[Question]
    ) -> DecisionState | None:
        request, profile = parsed.payload.request, parsed.payload.profile
        deployment = self._deployment
        after: DecisionState | None
        if request.kind == "erase":
            after, outputs = decide.erase(state, request, self._remembered(state), deployment)
        elif request.kind == "consent":
            after, outputs = decide.consent(state, request, self._remembered(state), deployment)
        elif request.kind == "repair":
            after, outputs = repair.repair(state, request, context.origin, deployment)
        else:
            assert profile is not None and answer is not None  # noqa: S101, PT018 - for the type checker
            if answer.fallback:
                policies = self._models.policies_for(request.customer_id, parsed.payload.asked_at, request.as_of)
            else:
                policies = self._models.policies_of(answer.model.version, request.as_of)
            after, outputs = decide.decide(
                state,
                request,
                context.origin,
                answer,
                profile,
                context.shared,
                policies,
                deployment,
                self.witness,
            )
        self._write(outputs, context)
        if request.kind == "erase":
            self._remember(request, parsed.payload.asked_at, context)
        return after

    def on_timer(self, state: DecisionState, due: int, context: Context[Question]) -> DecisionState | None:
        after, outputs = timers.on_timer(state, due, self._remembered(state), self._deployment)
        self._write(outputs, context)
        return after

    def on_signal(self, state: DecisionState, context: Context[Question]) -> DecisionState | None:
        after, outputs = timers.ask_again(state)
        self._write(outputs, context)
        return after

    def on_time(self, time: int, context: Context[Question]) -> None:
        for topic in _COMPACTED:
            context.emit(self._physical[topic], FILLER_KEY, None, (), context.origin.partition)

    def due(self, state: DecisionState) -> int:
        return timers.due(state)

    def waiting(self, state: DecisionState) -> bool:
        return timers.waiting(state)

    def signal(self, time: int) -> tuple[bytes, Headers] | None:
        return messages.encode(ScoreRequest(kind="tick", as_of=time)), ((MODEL_BACK, b"1"),)

    def new_shared(self) -> Budget:
        return Budget()

    def encode_shared(self, shared: Budget) -> bytes:
        return _encode_budget(shared)

    def decode_shared(self, encoded: bytes) -> Budget:
        return _decode_budget(encoded)

    def worth_noting(self) -> dict[str, str]:
        return {"model": self._models.in_force(), "policies": self._models.applied()}

    def _remembered(self, state: DecisionState | None) -> PoliciesInForce:
        """The policies that the customer's alerts were last judged by: what ends without an answer ends by them."""
        alerts = [] if state is None else [episode.alert for episode in state.episodes.values()]
        return self._models.remembered(max(alerts, key=lambda alert: (alert.as_of, alert.kind), default=None))

    def _remember(self, request: ScoreRequest, asked_at: int, context: Context[Question]) -> None:
        erasure = Erasure(
            role=ROLE,
            topic_id=self._erasures.topic_id,
            partition=request.events_partition,
            offset=request.last_offset,
            erased_at=asked_at,
        )
        key = request.customer_id.encode()
        if not self._erasures.has(key, erasure):
            context.emit(self._physical[topics.ERASURES], self._erasures.key(key), messages.encode(erasure))

    def _write(self, outputs: list[Output], context: Context[Question]) -> None:
        for topic, key, value, headers in outputs:
            if topic in _TRANSITIONS and value is not None:
                alert = messages.decode_alert_event(value).data
                self.transitions[alert.kind, alert.status] += 1
            context.emit(self._physical[topic], key, value, headers)

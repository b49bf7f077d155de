"""The decisions role: score requests in; answers, predictions, alerts and recommendations out.

A request passes through the scoring stage before it is folded, so no transaction is open while a model is asked. Built
by ``stream.workers.process``.
"""

from typing import Final

import msgspec

from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.emission import Headers, Output, Rejected
from stream.contracts.headers import header
from stream.contracts.scores import Answer, ScoreRequest
from stream.contracts.topics import TopicNames
from stream.decisions import codec, decide, prospects, timers
from stream.decisions.budget import Budget
from stream.decisions.deployment import Deployment
from stream.decisions.policies import AlertKind, PoliciesInForce
from stream.decisions.state import DecisionState
from stream.engine.processor import Context, NewerState, Parsed, Processor, Record, Stage, StateUnreadable
from stream.profiles import codec as profile_codec
from stream.profiles.profile import Profile

ROLE: Final = "decisions"

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


class DecisionsProcessor(Processor[DecisionState, Question]):
    """Turns answered requests into alerts and recommendations.

    Args:
        stage: answers questions; see ``stream.workers.scoring`` and ``stream.workers.recorded``.
        model: what ``tidemark status`` shows as the model in use.
    """

    role = ROLE
    fold_version = decide.FOLD_VERSION
    codec = DecisionCodec()

    def __init__(
        self,
        names: TopicNames,
        policies: PoliciesInForce,
        deployment: Deployment,
        stage: Stage[Question],
        model: str,
    ) -> None:
        self.input_topic = names.physical(topics.SCORE_REQUESTS)
        self.changelog_topic = names.changelog(ROLE)
        self._group = names.group(ROLE)
        self.dead_letter_topic = names.physical(topics.DEAD_LETTERS)
        self.stage = stage
        self._physical = {name: names.physical(name) for name in topics.TOPICS}
        self._policies = policies
        self._deployment = deployment
        self._model = model

    @property
    def group(self) -> str:
        return self._group

    def parse(self, record: Record) -> Parsed[Question]:
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

    def hint(self, state: DecisionState | None, payload: Question) -> None:
        payload.free = prospects.free_kinds(state, payload.request, self._policies)

    def fold(
        self, state: DecisionState | None, parsed: Parsed[Question], answer: Answer | None, context: Context[Question]
    ) -> DecisionState | None:
        request, profile = parsed.payload.request, parsed.payload.profile
        policies, deployment = self._policies, self._deployment
        after: DecisionState | None
        if request.kind == "erase":
            after, outputs = decide.erase(state, request, policies, deployment)
        elif request.kind == "consent":
            after, outputs = decide.consent(state, request, policies, deployment)
        else:
            assert profile is not None and answer is not None  # noqa: S101, PT018 - for the type checker
            after, outputs = decide.decide(
                state, request, context.origin, answer, profile, context.shared, policies, deployment
            )
        self._write(outputs, context)
        return after

    def on_timer(self, state: DecisionState, due: int, context: Context[Question]) -> DecisionState | None:
        after, outputs = timers.on_timer(state, due, self._policies, self._deployment)
        self._write(outputs, context)
        return after

    def on_signal(self, state: DecisionState, context: Context[Question]) -> DecisionState | None:
        after, outputs = timers.ask_again(state)
        self._write(outputs, context)
        return after

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
        return {"model": self._model}

    def _write(self, outputs: list[Output], context: Context[Question]) -> None:
        for topic, key, value, headers in outputs:
            context.emit(self._physical[topic], key, value, headers)

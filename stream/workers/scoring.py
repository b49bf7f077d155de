"""The stage that asks the model: batches of questions to Triton, several in flight, and the fallback where no answer
comes.

Each call has a deadline and is repeated at most as often as configured; an answer that comes later is void. Every
question gets an answer, the model's or the fallback's, so the fold never waits for a server that is gone.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog

from serving.answers import answers
from serving.catalogue import Catalogue
from serving.features import tensors
from serving.scorer import BadOutput, ScorerUnavailable
from stream.configuration.settings import TritonSettings
from stream.contracts.scores import Answer, FallbackReason, ModelStamp
from stream.decisions.fallback import fallback_answer
from stream.engine.processor import Stage
from stream.profiles.profile import Profile
from stream.workers.breaker import CircuitBreaker
from stream.workers.decisions import Question
from stream.workers.explaining import Explainer
from stream.workers.models import Answering, Models, warm_up

_LOOK_S: Final = 0.5
"""How often a server that is gone is looked for while nobody asks it anything, and a switch of the model obeyed."""

_log = structlog.get_logger(__name__)


class ScoringStage(Stage[Question]):
    """Answers questions with the model that is in force for each.

    Args:
        models: says which that is.
        currency: of the answers' amounts.
        explainer: adds the model's reasons to answers that will raise an alert; None: all reasons are by rule.

    Attributes:
        model_answers, fallback_answers: questions answered by each, since the start.
    """

    def __init__(
        self, models: Models, settings: TritonSettings, currency: str, explainer: Explainer | None = None
    ) -> None:
        self.max_batch = settings.max_batch
        self.max_in_flight = settings.in_flight
        self.model_answers = 0
        self.fallback_answers = 0
        self._models = models
        self._currency = currency
        self._explainer = explainer
        self._deadline_s = settings.deadline_ms / 1000
        self._backlog_deadline_s = settings.backlog_deadline_ms / 1000
        self._calls = 1 + settings.retries
        breaker = settings.breaker
        self._breaker = CircuitBreaker(
            breaker.failures, breaker.open_ms / 1000, breaker.max_open_ms / 1000, time.monotonic
        )
        self._watch: asyncio.Task[None] | None = None

    def needs(self, payload: Question) -> bool:
        return payload.request.kind == "score"

    async def open(self) -> None:
        # Before the first question: a server with another model would answer it without complaint.
        await self._look()
        if not self._breaker.open:
            await self._warm_up()
        await self._models.refresh()
        self._watch = asyncio.create_task(self._look_around())

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        await self._models.close()

    def recovered(self) -> bool:
        return not self._breaker.open

    async def run(self, batch: Sequence[Question]) -> list[Answer]:
        # One set of models for the whole batch: a switch comes into force between batches, never within.
        asked = [self._models.answering(question.request.customer_id, question.asked_at) for question in batch]
        places: dict[ModelStamp, list[int]] = {}
        for place, model in enumerate(asked):
            places.setdefault(model.scorer.stamp, []).append(place)
        parts = list(places.values())
        answered = await asyncio.gather(
            *(self._answered([batch[place] for place in part], asked[part[0]]) for part in parts)
        )
        found: dict[int, Answer] = {}
        for part, own in zip(parts, answered, strict=True):
            found.update(zip(part, own, strict=True))
        return [found[place] for place in range(len(batch))]

    async def _answered(self, batch: Sequence[Question], model: Answering) -> list[Answer]:
        """The model's answers; where a version that is coming or going has none, those of the one in force; else the
        fallback's."""
        settled = self._models.settled()
        in_turn = [settled] if model.scorer is settled.scorer else [model, settled]
        reason: FallbackReason = "unavailable"
        for each in in_turn:
            try:
                answered = await self._ask(batch, each, counts=each is settled)
            except _Unanswered as unanswered:
                reason = unanswered.reason
                continue
            self.model_answers += len(batch)
            if self._explainer is not None:
                await self._explainer.explain(batch, answered, each)
            return answered
        self.fallback_answers += len(batch)
        return [self._fall_back(question, settled.catalogue, reason) for question in batch]

    async def _ask(self, batch: Sequence[Question], model: Answering, counts: bool) -> list[Answer]:
        """The model's answers. Raises ``_Unanswered``.

        Args:
            counts: whether how it goes says something of the server: what is wrong with one version among others does
                not.
        """
        if self._breaker.open:
            raise _Unanswered("breaker_open")
        scorer, catalogue = model.scorer, model.catalogue
        requests = [question.request for question in batch]
        profiles = [_profile(question) for question in batch]
        inputs = tensors(profiles, [request.as_of for request in requests], catalogue)
        deadline_s = self._deadline_of(batch)
        reason: FallbackReason = "unavailable"
        for _ in range(self._calls):
            try:
                outputs = await scorer.infer(inputs, deadline_s)
                answered = answers(outputs, profiles, requests, catalogue, scorer.stamp, self._currency)
            except (ScorerUnavailable, BadOutput) as error:
                reason = error.reason
                _log.info("model did not answer", error=str(error))
            else:
                if counts:
                    if not self._breaker.healthy:
                        _log.info("model answers")
                    self._breaker.succeeded()
                return answered
        if not counts:
            raise _Unanswered(reason)
        # Once for all calls of a batch: a server that is only slow at the first call is no server that is gone.
        was_open = self._breaker.open
        self._breaker.failed()
        if self._breaker.open and not was_open:
            _log.warning("breaker opened: the fallback answers", reason=reason)
        raise _Unanswered(reason)

    def _deadline_of(self, batch: Sequence[Question]) -> float:
        """Seconds that a call may take: as long as its newest question has waited already, within the bounds.

        Nobody waits for the answer to an old question, so a backlog is worked off by the model at its own speed; at the
        pace of live events the first bound holds.
        """
        waited = time.time() - max(question.asked_at for question in batch) / 1000
        return min(max(self._deadline_s, waited), max(self._deadline_s, self._backlog_deadline_s))

    def _fall_back(self, question: Question, catalogue: Catalogue, reason: FallbackReason) -> Answer:
        return fallback_answer(_profile(question), question.request.as_of, reason, catalogue, self._currency)

    async def _warm_up(self) -> None:
        try:
            await warm_up(self._models.settled())
        except (ScorerUnavailable, BadOutput) as error:
            _log.warning("model does not answer yet", error=str(error))

    async def _look_around(self) -> None:
        """Close the breaker when the server is back though nobody asks: customers are waiting to be asked again. And
        have the versions ready that a switch will bring into force."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._breaker.may_look():
                await self._look()
            if not self._breaker.open:
                await self._models.refresh()

    async def _look(self) -> None:
        """Ask whether the server is ready, and with the model that is expected there."""
        try:
            ready = await self._models.settled().scorer.ready()
        except Exception as error:
            _log.warning("model cannot be used", error=str(error))
            ready = False
        if not ready:
            self._breaker.absent()
        elif self._breaker.open:
            _log.info("model server is back")
            self._breaker.ready()


class _Unanswered(Exception):
    """The model did not answer, for ``reason``."""

    def __init__(self, reason: FallbackReason) -> None:
        super().__init__(reason)
        self.reason = reason


def _profile(question: Question) -> Profile:
    assert question.profile is not None  # noqa: S101 - for the type checker: every question that is scored has one
    return question.profile

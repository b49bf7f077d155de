"""Asks the model why, for answers that will raise an alert: one call of at most 256 rows beside the scoring.

It has the lowest priority there is: one call at a time with a deadline of its own, none while a backlog is worked off,
and what is not answered in time is explained by rule (``stream.decisions.reasons``). A failure here says nothing of the
server to the circuit breaker. Called by the scoring stage after the model has answered.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import structlog

from serving.attribution import Explanation, explanation
from serving.catalogue import Catalogue
from serving.contributions import CONTRIBUTION_DIGITS, contributions
from serving.features import tensors
from serving.model_card import HORIZONS, ReferenceCustomer
from serving.reference import reference_profile
from serving.scorer import BadOutput, Scorer, ScorerUnavailable, Tensors
from stream.configuration.settings import MODEL_MAX_BATCH, TritonSettings
from stream.contracts.scores import Answer
from stream.decisions.decide import SCORE_DIGITS
from stream.decisions.facts import Facts
from stream.decisions.policies import PoliciesInForce
from stream.decisions.prospects import will_raise
from stream.workers.decisions import Question

_log = structlog.get_logger(__name__)

RAW_CHURN: Final = "raw_churn"


class _Asked(NamedTuple):
    answer: Answer
    explained: Explanation


class Explainer:
    """Puts reasons into answers.

    Args:
        policies: say which answers raise an alert, and which horizon is explained.
        settings: ``reasons_deadline_ms`` of a call; 0 leaves all reasons to the rules.

    Attributes:
        explained, missed: alerts-to-be that the model explained, and that were left to the rules, since the start.
    """

    def __init__(self, policies: PoliciesInForce, settings: TritonSettings) -> None:
        self.explained = 0
        self.missed = 0
        self._policies = policies
        self._horizon = HORIZONS.index(policies.horizon)
        self._deadline_s = settings.reasons_deadline_ms / 1000
        self._oldest_s = settings.deadline_ms / 1000
        self._busy = False

    async def explain(
        self,
        batch: Sequence[Question],
        answered: Sequence[Answer],
        scorer: Scorer,
        catalogue: Catalogue,
        reference: ReferenceCustomer | None,
    ) -> None:
        """Add ``reasons`` to those of the model's answers that will raise an alert. Ends within the deadline, and
        raises nothing that the model server or its answer is to blame for.

        Args:
            batch, answered: questions and the model's answers to them, in one order; the answers are changed in place.
            scorer: the model that answered.
            catalogue: as the answers were made with.
            reference: of the same model's card; None: it has none, and all reasons are left to the rules.
        """
        if not self._deadline_s or reference is None:
            return
        chosen = [pair for pair in zip(batch, answered, strict=True) if self._is_worth_it(*pair)]
        if not chosen:
            return
        if self._busy or self._is_backlog(batch):
            self.missed += len(chosen)
            return
        self._busy = True
        before = self.explained
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._ask(chosen, scorer, catalogue, reference)
        except (TimeoutError, ScorerUnavailable, BadOutput) as error:
            _log.info("reasons by rule", error=str(error) or "out of time")
        finally:
            self._busy = False
            self.missed += len(chosen) - (self.explained - before)

    def _is_worth_it(self, question: Question, answer: Answer) -> bool:
        profile, request = question.profile, question.request
        if profile is None or not question.free or profile.anonymous or answer.fallback:
            return False
        score = round(answer.churn[self._policies.horizon], SCORE_DIGITS)
        # Most questions end here; the facts of a profile cost more than a comparison.
        if score < min(rule.raise_threshold for rule in self._policies.rules.values()):
            return False
        return will_raise(question.free, Facts(profile, request.as_of, self._policies.settings), score, self._policies)

    def _is_backlog(self, batch: Sequence[Question]) -> bool:
        return time.time() - max(question.asked_at for question in batch) / 1000 > self._oldest_s

    async def _ask(
        self,
        chosen: Sequence[tuple[Question, Answer]],
        scorer: Scorer,
        catalogue: Catalogue,
        reference: ReferenceCustomer,
    ) -> None:
        """As many of ``chosen`` as fit into one call. Raises what ``Scorer.infer`` raises."""
        began = time.monotonic()
        asked: list[_Asked] = []
        rows = 0
        for question, answer in chosen:
            explained = _explanation(question, catalogue, reference)
            if rows + explained.rows > MODEL_MAX_BATCH:
                break
            asked.append(_Asked(answer, explained))
            rows += explained.rows
        left_s = self._deadline_s - (time.monotonic() - began)
        if left_s <= 0:
            raise TimeoutError
        outputs = await scorer.infer(_joined([each.explained.tensors for each in asked]), left_s)
        raw = outputs[RAW_CHURN]
        if raw.shape != (rows, len(HORIZONS)) or not np.isfinite(raw).all():
            raise BadOutput(f"{RAW_CHURN} of {rows} coalitions came as {raw.dtype}{list(raw.shape)}, or not finite")
        values = raw[:, self._horizon].astype(np.float64)
        for answer, explained in asked:
            own, values = values[: explained.rows], values[explained.rows :]
            answer.reasons = contributions(explained, own)
            answer.reference_churn = round(float(own[0]), CONTRIBUTION_DIGITS)
            self.explained += 1


def _explanation(question: Question, catalogue: Catalogue, reference: ReferenceCustomer) -> Explanation:
    at = question.request.as_of
    assert question.profile is not None  # noqa: S101 - for the type checker: only such questions are chosen
    both = tensors([question.profile, reference_profile(reference, at)], [at, at], catalogue)
    return explanation(_row(both, 0), _row(both, 1), at, catalogue.shop)


def _row(batch: Tensors, row: int) -> Tensors:
    return {name: array[row : row + 1] for name, array in batch.items()}


def _joined(parts: Sequence[Tensors]) -> Tensors:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

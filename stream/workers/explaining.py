"""Asks the model why, for answers that will raise an alert: at most 256 rows at a time, beside the scoring.

It has the lowest priority there is: one call at a time, none larger than those that score, all within a deadline of
their own and none while a backlog is worked off. What is not answered in time is explained by rule
(``stream.decisions.reasons``). A failure here says nothing of the server to the circuit breaker. Called by the scoring
stage after the model has answered.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import structlog

from serving.attribution import LARGEST_ROWS, Explanation, Floats, explanation
from serving.contributions import CONTRIBUTION_DIGITS, contributions
from serving.features import tensors
from serving.model_card import HORIZONS
from serving.reference import reference_profile
from serving.scorer import BadOutput, ScorerUnavailable, Tensors
from stream.configuration.settings import TritonSettings
from stream.contracts.scores import Answer
from stream.decisions.decide import SCORE_DIGITS
from stream.decisions.facts import Facts
from stream.decisions.policies import PoliciesInForce
from stream.decisions.prospects import will_raise
from stream.workers.decisions import Question
from stream.workers.models import Answering

_log = structlog.get_logger(__name__)

RAW_CHURN: Final = "raw_churn"
_LEAST_S: Final = 0.001
"""A call has to have some deadline; the one around all calls ends it."""


class _Asked(NamedTuple):
    answer: Answer
    explained: Explanation


class Explainer:
    """Puts reasons into answers.

    Args:
        policies_of: the policies for answers of a version of the model, as of a time; they say which answers raise an
            alert, and which horizon is explained.
        settings: ``reasons_deadline_ms`` for all calls of one explanation, 0 leaves all reasons to the rules;
            ``max_batch`` of a call.

    Attributes:
        explained, missed: alerts-to-be that the model explained, and that were left to the rules, since the start.
        late: of the missed, those that the model was asked about, and had not answered by the deadline.
    """

    def __init__(self, policies_of: Callable[[str, int], PoliciesInForce], settings: TritonSettings) -> None:
        self.explained = 0
        self.missed = 0
        self.late = 0
        self._policies_of = policies_of
        self._deadline_s = settings.reasons_deadline_ms / 1000
        self._max_rows = settings.max_batch
        self._oldest_s = settings.deadline_ms / 1000
        self._busy = False

    async def explain(self, batch: Sequence[Question], answered: Sequence[Answer], model: Answering) -> None:
        """Add ``reasons`` to those of the model's answers that will raise an alert. Ends within the deadline, and never
        fails: an answer without reasons is as good.

        Args:
            batch, answered: questions and the model's answers to them, in one order; the answers are changed in place.
            model: that answered. Where its card knows no reference customer, all reasons are left to the rules.
        """
        if not self._deadline_s or model.reference is None:
            return
        version = model.scorer.stamp.version
        chosen = [
            pair
            for pair in zip(batch, answered, strict=True)
            if _is_worth_it(*pair, self._policies_of(version, pair[0].request.as_of))
        ]
        if not chosen:
            return
        # A batch on both sides of a change of the horizon is explained for one of them.
        horizon = self._policies_of(version, chosen[0][0].request.as_of).horizon
        if self._busy or self._is_backlog(batch):
            self.missed += len(chosen)
            return
        self._busy = True
        before, late = self.explained, False
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._ask(chosen, model, HORIZONS.index(horizon))
        except (TimeoutError, ScorerUnavailable, BadOutput) as error:
            late = isinstance(error, TimeoutError)
            _log.info("reasons by rule", error=str(error) or "out of time")
        except Exception as error:
            # The answers are there. Whatever is wrong with their reasons must not cost them.
            _log.warning("reasons by rule: the model's could not be made", exc_info=error)
        finally:
            self._busy = False
            missed = len(chosen) - (self.explained - before)
            self.missed += missed
            self.late += missed if late else 0

    def _is_backlog(self, batch: Sequence[Question]) -> bool:
        return time.time() - max(question.asked_at for question in batch) / 1000 > self._oldest_s

    async def _ask(
        self,
        chosen: Sequence[tuple[Question, Answer]],
        model: Answering,
        horizon: int,
    ) -> None:
        """Explain as many of ``chosen`` as fit into ``LARGEST_ROWS``. Raises what ``Scorer.infer`` raises."""
        ends = time.monotonic() + self._deadline_s
        asked: list[_Asked] = []
        rows = 0
        for question, answer in chosen:
            explained = _explanation(question, model)
            if rows + explained.rows > LARGEST_ROWS:
                break
            asked.append(_Asked(answer, explained))
            rows += explained.rows
        joined = _joined([each.explained.tensors for each in asked])
        parts: list[Floats] = []
        for start in range(0, rows, self._max_rows):
            # One after the other: between them the server takes the questions of others.
            part = {name: array[start : start + self._max_rows] for name, array in joined.items()}
            parts.append(
                _raw_churn(await model.scorer.infer(part, max(ends - time.monotonic(), _LEAST_S)), part, horizon)
            )
        values = np.concatenate(parts)
        for answer, explained in asked:
            own, values = values[: explained.rows], values[explained.rows :]
            answer.reasons = contributions(explained, own)
            answer.reference_churn = round(float(own[0]), CONTRIBUTION_DIGITS)
            self.explained += 1


def _is_worth_it(question: Question, answer: Answer, policies: PoliciesInForce) -> bool:
    profile, request = question.profile, question.request
    if profile is None or not question.free or profile.anonymous or answer.fallback:
        return False
    score = round(answer.churn[policies.horizon], SCORE_DIGITS)
    # Most questions end here; the facts of a profile cost more than a comparison.
    if score < min(rule.raise_threshold for rule in policies.rules.values()):
        return False
    return will_raise(question.free, Facts(profile, request.as_of, policies.settings), score, policies)


def _raw_churn(outputs: Tensors, inputs: Tensors, horizon: int) -> Floats:
    """float64[R]: raw churn at one of the horizons. Raises ``BadOutput``."""
    raw, wanted = outputs[RAW_CHURN], (len(inputs["stats"]), len(HORIZONS))
    if raw.shape != wanted or not np.isfinite(raw).all():
        raise BadOutput(f"{RAW_CHURN} of {wanted[0]} coalitions came as {raw.dtype}{list(raw.shape)}, or not finite")
    return np.asarray(raw[:, horizon], np.float64)


def _explanation(question: Question, model: Answering) -> Explanation:
    at, reference, catalogue = question.request.as_of, model.reference, model.catalogue
    assert question.profile is not None and reference is not None  # noqa: S101, PT018 - for the type checker
    both = tensors([question.profile, reference_profile(reference, at)], [at, at], catalogue)
    return explanation(_row(both, 0), _row(both, 1), at, catalogue.shop)


def _row(batch: Tensors, row: int) -> Tensors:
    return {name: array[row : row + 1] for name, array in batch.items()}


def _joined(parts: Sequence[Tensors]) -> Tensors:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

"""A stage that answers from the request alone, so that whoever asks, and however often, hears the same.

Its answers are as varied as alerts and recommendations need to have everything happen to them, a few are a fallback's.
The oracle does not know it: it reads answers from the scores topic.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final

from serving.model_card import HORIZONS
from stream.contracts.scores import Answer, Candidate, ModelStamp, ScoreRequest
from stream.engine.processor import Stage
from stream.workers.decisions import Question

STAMP: Final = ModelStamp("drawn", "1", "0000000000000000")
FALLBACK_SHARE: Final = 0.02
_CANDIDATES: Final = 15
_RANKED: Final = 0.95


class DrawnStage(Stage[Question]):
    """Answers that are drawn with the request's id as the seed.

    Args:
        longest_ms: each batch takes up to so long, so that batches end in another order than they began.
        fallback_share: of the questions, but for those that are put again.
    """

    def __init__(self, longest_ms: float = 0.0, fallback_share: float = FALLBACK_SHARE) -> None:
        self._longest_ms = longest_ms
        self._fallback_share = fallback_share
        self._delays = Random()

    def needs(self, payload: Question) -> bool:
        return payload.request.kind == "score"

    def recovered(self) -> bool:
        return True

    async def run(self, batch: Sequence[Question]) -> list[Answer]:
        await asyncio.sleep(self._delays.uniform(0, self._longest_ms) / 1000)
        return [drawn_answer(question.request, self._fallback_share) for question in batch]


def drawn_answer(request: ScoreRequest, fallback_share: float = FALLBACK_SHARE) -> Answer:
    """The one answer that this request gets."""
    draw = Random(request.request_id)
    fallback = request.trigger != "retry" and draw.random() < fallback_share
    churn = {horizon: round(draw.uniform(0.3, 1.0), 3) for horizon in HORIZONS}
    # Lists that overlap mostly, so that some changes are material and some are not.
    first = draw.choice((0, 0, 0, 0, 5))
    ranked = [item for item in range(first, first + _CANDIDATES) if draw.random() < _RANKED]
    return Answer(
        churn=churn,
        raw_churn=churn,
        expected_revenue_180d=round(draw.uniform(0, 500), 2),
        median_revenue_180d=round(draw.uniform(0, 300), 2),
        currency="GBP",
        candidates=[
            Candidate(item_id=f"p{item:05}", score=float(_CANDIDATES - rank), retriever="model")
            for rank, item in enumerate(ranked)
        ],
        model=STAMP,
        catalogue_version="none",
        fallback=fallback,
        fallback_reason="breaker_open" if fallback else "",
    )

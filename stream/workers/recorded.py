"""The stage that remembers: answers that were given before, by request.

A replay with the model version of the original uses what the model said then, and so gives the same bytes.
"""

from collections.abc import Mapping, Sequence

from stream.contracts.scores import Answer, Score
from stream.engine.processor import Stage
from stream.workers.decisions import Question


class RecordedStage(Stage[Question]):
    """Answers questions from the scores topic.

    Args:
        recorded: by ``request_id``.
        otherwise: asked where nothing is recorded; without it such a question becomes a dead letter ``stage_error``.
    """

    def __init__(self, recorded: Mapping[str, Answer], otherwise: Stage[Question] | None = None) -> None:
        self._recorded = recorded
        self._otherwise = otherwise

    def needs(self, payload: Question) -> bool:
        return payload.request.kind == "score"

    async def open(self) -> None:
        if self._otherwise is not None:
            await self._otherwise.open()

    async def close(self) -> None:
        if self._otherwise is not None:
            await self._otherwise.close()

    def recovered(self) -> bool:
        # What the fallback answered is on record too, and so are the questions that were put again.
        return False

    async def run(self, batch: Sequence[Question]) -> list[Answer]:
        unknown = [question for question in batch if question.request.request_id not in self._recorded]
        asked: dict[str, Answer] = {}
        if unknown:
            if self._otherwise is None:
                raise LookupError(f"no answer is recorded for request {unknown[0].request.request_id}")
            given = await self._otherwise.run(unknown)
            asked = {q.request.request_id: answer for q, answer in zip(unknown, given, strict=True)}
        return [self._recorded.get(q.request.request_id) or asked[q.request.request_id] for q in batch]


def recorded_answers(scores: Sequence[Score]) -> dict[str, Answer]:
    """Answers by request; where one was answered twice the first counts, as it did then."""
    answers: dict[str, Answer] = {}
    for score in scores:
        answers.setdefault(score.request_id, score.answer)
    return answers

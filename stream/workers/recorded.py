"""The stage that remembers: answers that were given before, by request.

A replay with the model version of the original uses what the model said then, and so gives the same bytes. Where the
answers come from is the business of ``score_log.py``, or of a test.
"""

from collections.abc import Callable, Sequence

from stream.contracts.ids import profile_digest
from stream.contracts.scores import Answer, Score, ScoreRequest
from stream.engine.processor import Stage
from stream.workers.decisions import Question

Recall = Callable[[ScoreRequest], Answer | None]
"""What was answered to a request; None: that is not on record."""


class RecordedStage(Stage[Question]):
    """Answers questions from what is on record.

    Args:
        recall: finds an answer.
        otherwise: asked where nothing is recorded; without it such a question becomes a dead letter ``stage_error``.

    Attributes:
        recalled, asked: questions that were answered by each, since the start.
    """

    def __init__(self, recall: Recall, otherwise: Stage[Question] | None = None) -> None:
        self.recalled = 0
        self.asked = 0
        self._recall = recall
        self._otherwise = otherwise
        if otherwise is not None:
            self.max_batch, self.max_in_flight = otherwise.max_batch, otherwise.max_in_flight

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
        found = [self._recall(question.request) for question in batch]
        unknown = [question for question, answer in zip(batch, found, strict=True) if answer is None]
        if unknown and self._otherwise is None:
            raise LookupError(f"no answer is recorded for request {unknown[0].request.request_id}")
        given = iter(await self._otherwise.run(unknown) if unknown and self._otherwise is not None else ())
        self.recalled += len(batch) - len(unknown)
        self.asked += len(unknown)
        return [next(given) if answer is None else answer for answer in found]


def recorded_answers(scores: Sequence[Score]) -> Recall:
    """Recalls these answers; where one request was answered twice the first counts, as it did then.

    A request is known by its id and by the event that led to it: after an erasure the same may be asked once more.
    """
    answers: dict[tuple[str, int], Score] = {}
    for score in scores:
        answers.setdefault((score.request_id, score.events_offset), score)

    def recall(request: ScoreRequest) -> Answer | None:
        score = answers.get((request.request_id, request.last_offset))
        return score.answer if score is not None and is_of(score, request) else None

    return recall


def is_of(score: Score, request: ScoreRequest) -> bool:
    """Whether the answer was given to this profile: another fold may ask the same about another one."""
    return not score.profile_digest or score.profile_digest == profile_digest(request.profile)

"""How alerts were judged: the decisions of one customer folded again, with the answers that were recorded then.

Nothing is asked of a model. What the fold makes is held against what is on record, and its figures are told only where
the two agree. Called by `explaining.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from stream.contracts import codec as messages
from stream.contracts.headers import OUTCOME, header
from stream.contracts.scores import Score
from stream.contracts.times import DAY_MS
from stream.decisions.fallback import fallback_answer
from stream.decisions.state import DecisionState
from stream.decisions.verdicts import Open, Unraised, Weighed, weighed
from stream.engine.processor import Record
from stream.operations.history.refold import Refold, Step
from stream.profiles import codec as profile_codec
from stream.workers.decisions import DecisionsProcessor, Question

_COUNTED: Final = ("raised", "quiet_hours")
"""Outcomes that the budget has counted."""


class Raise(NamedTuple):
    """An alert that was raised for somebody, which the partition's budget has counted."""

    kind: str
    day: int


class Recorded(NamedTuple):
    """What the scores topic has of one partition, by the offset of the question."""

    own: dict[int, tuple[Score, str]]
    """The customer's answers, each with what became of alerts."""
    raised: dict[int, list[Raise]]
    """Alerts of the others."""


class Judged(NamedTuple):
    """How the fold judged one question."""

    weighed: list[Weighed]
    outcome: str
    policy_version: str


def recorded(scores: Iterable[Record], key: bytes) -> Recorded:
    """Read the answers of one partition."""
    found = Recorded({}, {})
    for record in scores:
        outcome = header(record.headers, OUTCOME) or b""
        if record.key == key:
            score = messages.decode_score(record.value or b"")
            found.own.setdefault(score.request_offset, (score, outcome.decode(errors="replace")))
        elif any(became.encode() in outcome for became in _COUNTED):
            score = messages.decode_score(record.value or b"")
            parts = (part.partition("=") for part in outcome.decode().split(","))
            kinds = [kind for kind, _, became in parts if became in _COUNTED]
            found.raised[score.request_offset] = [Raise(kind, score.as_of // DAY_MS) for kind in kinds]
    return found


def judged(
    processor: DecisionsProcessor,
    scores: str,
    max_output_bytes: int,
    key: bytes,
    partition: int,
    requests: Iterable[Record],
    known: Recorded,
) -> dict[int, Judged]:
    """Fold the customer's questions again.

    Args:
        processor: as the workers have it; its stage is not asked.
        scores: physical name of the scores topic.
        requests: of the partition of score requests, all of them: the others' move time.

    Returns:
        By the offset of the question; none for those without an answer.
    """
    found: dict[int, Judged] = {}
    seen: dict[str, Weighed] = {}

    def witness(at: Unraised | Open) -> None:
        seen[at.kind] = weighed(at)

    def watch(step: Step) -> None:
        for output in () if step.due else step.outputs:
            if output.topic == scores:
                score = messages.decode_score(output.value or b"")
                outcome = header(output.headers, OUTCOME) or b""
                found[step.origin.offset] = Judged(list(seen.values()), outcome.decode(), score.policy_version)

    processor.witness = witness
    refold = Refold(processor, partition, max_output_bytes, lambda each: each == key, watch)
    for record in requests:
        for kind, day in known.raised.get(record.offset, ()):
            refold.shared.count(kind, day)
            refold.note()
        seen.clear()
        if record.key != key:
            refold.take(record)
        else:
            _take(refold, record, known)
    return found


def _take(refold: Refold[DecisionState, Question], record: Record, known: Recorded) -> None:
    request = messages.decode_score_request(record.value or b"")
    answered = known.own.get(record.offset)
    if request.kind != "score":
        refold.take(record)
    elif answered is not None:
        refold.take(record, answered[0].answer)
    elif not request.personalization:
        # Its answer was thrown away, so any will do.
        profile = profile_codec.decode(request.profile)
        refold.take(record, fallback_answer(profile, request.as_of, "unavailable"))

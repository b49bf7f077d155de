"""Answers on record are found beside the requests of a replay, in whatever order batches come and after a step back."""

import random

import pytest

import stream.workers.score_log as module
from stream.contracts.codec import encode
from stream.contracts.partitioning import partition_for
from stream.contracts.scores import Answer, ModelStamp, Score, ScoreRequest
from stream.testing.topics import Topics
from stream.workers.score_log import ScoreLog

CUSTOMERS = [f"c{number}" for number in range(40)]
SCORES = 3_000


def score(number: int, offset: int, version: str = "1", fallback: bool = False, request_id: str = "") -> Score:
    answer = Answer(
        churn={"30d": number / SCORES},
        raw_churn={},
        expected_revenue_180d=0.0,
        median_revenue_180d=0.0,
        currency="GBP",
        candidates=[],
        model=ModelStamp("customer", version, "0" * 16),
        fallback=fallback,
    )
    customer = CUSTOMERS[number % len(CUSTOMERS)]
    return Score(
        request_id=request_id or f"r{number}",
        customer_id=customer,
        as_of=number,
        trigger="browse",
        answer=answer,
        request_partition=partition_for(customer.encode(), 2),
        request_offset=number,
        events_offset=offset,
    )


def request(of: Score) -> ScoreRequest:
    return ScoreRequest(
        kind="score", request_id=of.request_id, customer_id=of.customer_id, last_offset=of.events_offset
    )


def written(topics: Topics, scores: list[Score]) -> tuple[str, dict[int, int]]:
    topic = topics.create("scores", partitions=2)
    topics.produce(topic, [(each.customer_id, encode(each)) for each in scores])
    return topic, {number: len(scores) for number in range(2)}


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT_EVENTS", 200)
    monkeypatch.setattr(module, "_MARK_EVERY", 50)
    monkeypatch.setattr(module, "_BATCH", 70)


def test_every_answer_is_found_in_order_nearly_in_order_and_after_going_back(
    topics: Topics, small_window: None
) -> None:
    scores = [score(number, 3 * number) for number in range(SCORES)]
    topic, ends = written(topics, scores)
    log = ScoreLog({"bootstrap.servers": topics.bootstrap_servers}, topic, ends)
    draw = random.Random(3)
    try:
        for start in (0, 900, 2_400):
            near = sorted(range(start, SCORES), key=lambda number: number + draw.uniform(0, 20))
            found = [log(request(scores[number])) for number in near]
            assert [None if answer is None else answer.churn["30d"] for answer in found] == [
                number / SCORES for number in near
            ]
        kept = sum(len(part._values) for part in log._parts.values())
        assert kept < SCORES / 5, "what is past is let go"
    finally:
        log.close()


def test_what_was_never_answered_or_by_another_version_is_not_found(topics: Topics) -> None:
    scores = [
        score(0, 0),
        score(1, 5, version="2"),
        score(2, 9, version="2", fallback=True),
        score(0, 12, request_id="again"),
        score(40, 20, request_id="again"),
    ]
    topic, ends = written(topics, scores)
    kafka = {"bootstrap.servers": topics.bootstrap_servers}
    for version, found in (("", [0, 1, 2, 3, 4]), ("2", [1]), ("3", [])):
        log = ScoreLog(kafka, topic, ends, version)
        try:
            assert [place for place, each in enumerate(scores) if log(request(each)) is not None] == found
            assert log(ScoreRequest(kind="score", request_id="r9", customer_id="c9", last_offset=7)) is None
        finally:
            log.close()
    log = ScoreLog(kafka, topic, ends)
    try:
        # One id, two questions: the customer was erased between them.
        assert [answer and answer.churn["30d"] for answer in map(log, map(request, scores[3:]))] == [0, 40 / SCORES]
    finally:
        log.close()

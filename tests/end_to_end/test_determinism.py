"""The same log gives the same bytes, whatever the commit intervals, the batches, the speed and the number of workers.

One run answers requests and records the answers; the others take the recorded answers, each with other settings and
another number of workers. Nothing but Kafka's own timestamps may differ. "The same log" is each role's own input:
scores and alerts name the offset of their request, and transactions leave markers between the requests that take
offsets too. So the decisions of every run read the requests of the first one, while its profiles make their own, which
are compared.

Within a topic that is keyed by customer, and so fed by one input partition for each of its own, the whole partition is
compared as one sequence. The topic of open alerts is keyed by alert, so several input partitions meet on one of its
partitions, and their order is no promise: there, and among the dead letters, sequences are compared by key.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.dead_letters import read_verdict
from stream.contracts.scores import Answer
from stream.testing.topics import Topics
from stream.workers.decisions import Question
from stream.workers.recorded import Recall, RecordedStage, recorded_answers
from tests.chaos.read_back import Record, flat
from tests.end_to_end.repeats import BY_CUSTOMER, Outputs, Shop, Speed

RUNS = (
    Speed(1, 10, 50, 25, 0.0),
    Speed(2, 100, 5_000, 2_000, 25.0),
    Speed(3, 500, 700, 50, 10.0),
)


class SlowRecorded(RecordedStage):
    """Recorded answers that come at another time each."""

    def __init__(self, recall: Recall, longest_ms: float) -> None:
        super().__init__(recall)
        self._longest_ms = longest_ms
        self._delays = Random()

    async def run(self, batch: Sequence[Question]) -> list[Answer]:
        await asyncio.sleep(self._delays.uniform(0, self._longest_ms) / 1000)
        return await super().run(batch)


def test_original_has_alerts_of_every_status_and_events_that_are_late_twice_and_refused(original: Outputs) -> None:
    statuses = Counter(
        messages.decode_alert_event(record.value or b"").data.status
        for topic in (topics.ALERTS, topics.ALERTS_HOLDOUT)
        for record in flat(original[topic])
    )
    codes = Counter(read_verdict(record.headers).code for record in flat(original[topics.DEAD_LETTERS]))
    print(f"{sum(statuses.values())} transitions: {dict(statuses)}; dead letters: {dict(codes)}")
    assert sum(statuses.values()) >= 1_000
    assert statuses.keys() == {"raised", "updated", "resolved", "expired", "corrected"}
    assert codes["too_late"] > 0


@pytest.mark.parametrize("speed", RUNS, ids=lambda speed: f"{speed.workers} workers, {speed.commit_interval_ms} ms")
def test_same_log_and_recorded_scores_give_the_same_bytes(
    shop: Shop, own_topics: Topics, original: Outputs, original_prefix: str, speed: Speed
) -> None:
    scores = [messages.decode_score(record.value or b"") for record in flat(original[topics.SCORES])]
    recorded = recorded_answers(scores)
    prefix = own_topics.name(f"by-{speed.workers}.")
    repeated = shop.run(prefix, speed, lambda: SlowRecorded(recorded, speed.longest_answer_ms), original_prefix)
    for topic in BY_CUSTOMER:
        assert _bytes_of(repeated[topic]) == _bytes_of(original[topic]), topic
    assert _by_key(repeated[topics.ALERTS_OPEN]) == _by_key(original[topics.ALERTS_OPEN])
    assert _by_origin(repeated[topics.DEAD_LETTERS]) == _by_origin(original[topics.DEAD_LETTERS])


def _bytes_of(partitions: list[list[Record]]) -> list[list[tuple[object, ...]]]:
    return [[(record.key, record.value, record.headers) for record in records] for records in partitions]


def _by_key(partitions: list[list[Record]]) -> dict[tuple[int, bytes | None], list[tuple[object, ...]]]:
    sequences: dict[tuple[int, bytes | None], list[tuple[object, ...]]] = {}
    for record in flat(partitions):
        sequences.setdefault((record.partition, record.key), []).append((record.value, record.headers))
    return sequences


def _by_origin(partitions: list[list[Record]]) -> list[tuple[object, ...]]:
    # A record without a key lands on any partition, so only what the letters say is compared.
    return sorted((read_verdict(r.headers).origin, r.key or b"", r.value or b"", r.headers) for r in flat(partitions))

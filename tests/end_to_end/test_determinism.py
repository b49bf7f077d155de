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
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from confluent_kafka.admin import AdminClient

from stream.configuration.clients import client_properties
from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.dead_letters import read_verdict
from stream.contracts.scores import Answer
from stream.embedded.kafka import EmbeddedKafka
from stream.operations.topics import create_topics
from stream.testing.topics import Topics
from stream.workers.decisions import Question
from stream.workers.recorded import RecordedStage, recorded_answers
from tests.chaos.answers import DrawnStage
from tests.chaos.input_log import PARTITIONS, input_log
from tests.chaos.read_back import Record, flat, read_topic
from tests.chaos.run import CONFIGURATION, Writer
from tests.end_to_end.workers import MakeStage, team

EVENTS = int(os.environ.get("DETERMINISM_EVENTS", "10000"))
SEED = int(os.environ.get("DETERMINISM_SEED", "7"))

BY_CUSTOMER = (
    topics.SCORE_REQUESTS,
    topics.SCORES,
    topics.PREDICTIONS,
    topics.ALERTS,
    topics.ALERTS_HOLDOUT,
    topics.RECOMMENDATIONS,
)
"""Topics of which each partition is fed by one input partition alone."""
SESSION_MS = 4_000
ORIGINAL = "original."

Outputs = dict[str, list[list[Record]]]


class Speed(NamedTuple):
    """How one run goes about the same work."""

    workers: int
    commit_interval_ms: int
    consume_batch: int
    timers_per_step: int
    longest_answer_ms: float
    """Batches take up to so long, each another time."""


RUNS = (
    Speed(1, 10, 50, 7, 0.0),
    Speed(2, 100, 5_000, 2_000, 25.0),
    Speed(3, 500, 700, 50, 10.0),
)


class SlowRecorded(RecordedStage):
    """Recorded answers that come at another time each."""

    def __init__(self, recorded: dict[str, Answer], longest_ms: float) -> None:
        super().__init__(recorded)
        self._longest_ms = longest_ms
        self._delays = Random()

    async def run(self, batch: Sequence[Question]) -> list[Answer]:
        await asyncio.sleep(self._delays.uniform(0, self._longest_ms) / 1000)
        return await super().run(batch)


class Shop(NamedTuple):
    """A log on a broker, and where it ends on each partition."""

    servers: str
    folder: Path
    events_topic: str
    ends: list[int]

    def configuration(self, prefix: str, speed: Speed, **names: str) -> Configuration:
        """Reads the one log, and whatever else ``names`` says, and writes under a prefix."""
        path = self.folder / f"{prefix}toml"
        text = CONFIGURATION.format(
            folder=self.folder,
            servers=self.servers,
            prefix=prefix,
            partitions=PARTITIONS,
            session_ms=SESSION_MS,
            store="memory",
        )
        path.write_text(text)
        environ = {
            "TIDEMARK__TOPICS__NAMES": json.dumps({topics.EVENTS: self.events_topic, **names}),
            "TIDEMARK__ENGINE__COMMIT_INTERVAL_MS": str(speed.commit_interval_ms),
            "TIDEMARK__ENGINE__CONSUME_BATCH": str(speed.consume_batch),
            "TIDEMARK__ENGINE__TIMERS_PER_STEP": str(speed.timers_per_step),
        }
        return load(path, environ).configuration

    def run(self, prefix: str, speed: Speed, make_stage: MakeStage, requests_of: str = "") -> Outputs:
        """Fold the whole log and read back what came out.

        Args:
            requests_of: prefix of the run whose requests the decisions read; empty: this one.
        """
        configuration = self.configuration(prefix, speed)
        create_topics(AdminClient(client_properties(configuration.kafka)), configuration.topics)
        names = configuration.topics.topic_names()
        requests = names.physical(topics.SCORE_REQUESTS).replace(prefix, requests_of or prefix)
        answering = self.configuration(prefix, speed, **{topics.SCORE_REQUESTS: requests})
        label = prefix.strip(".")
        with team(answering, "decisions", speed.workers, label, make_stage) as decisions:
            with team(configuration, "profiles", speed.workers, label) as profiles:
                profiles.await_offsets(configuration, self.events_topic, self.ends)
            ends = [max((r.offset + 1 for r in records), default=0) for records in read_topic(self.servers, requests)]
            decisions.await_offsets(configuration, requests, ends)
        logical = (*BY_CUSTOMER, topics.ALERTS_OPEN, topics.DEAD_LETTERS)
        return {topic: read_topic(self.servers, names.physical(topic)) for topic in logical}


@pytest.fixture(scope="module")
def own_topics(embedded_kafka: EmbeddedKafka) -> Iterator[Topics]:
    with Topics(embedded_kafka.bootstrap_servers, label="same") as own:
        yield own


@pytest.fixture(scope="module")
def shop(own_topics: Topics, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    print(f"\nseed {SEED}")
    events = own_topics.create("events", partitions=PARTITIONS, settings=topics.TOPICS[topics.EVENTS].settings())
    unwritten = Shop(own_topics.bootstrap_servers, tmp_path_factory.mktemp("same"), events, [])
    writer = Writer(unwritten.configuration(own_topics.name("w."), RUNS[0]), events)
    writer.write(input_log(EVENTS, SEED, customers=EVENTS // 60))
    return unwritten._replace(ends=writer.ends)


@pytest.fixture(scope="module")
def original(shop: Shop, own_topics: Topics) -> Outputs:
    """The run that the others must repeat, with answers that it did not know before."""
    return shop.run(own_topics.name(ORIGINAL), RUNS[1], lambda: DrawnStage(longest_ms=20, fallback_share=0.0))


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
    shop: Shop, own_topics: Topics, original: Outputs, speed: Speed
) -> None:
    scores = [messages.decode_score(record.value or b"") for record in flat(original[topics.SCORES])]
    recorded = recorded_answers(scores)
    prefix = own_topics.name(f"by-{speed.workers}.")
    repeated = shop.run(
        prefix, speed, lambda: SlowRecorded(recorded, speed.longest_answer_ms), own_topics.name(ORIGINAL)
    )
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

"""No Triton, no stop: the server is killed, or frozen, while calls are in flight, and comes back.

Events go on and answers say that they are a fallback's; nothing is lost or there twice, no alert is raised or resolved
by such an answer; after its return the model answers within ten seconds, and everybody whom the fallback answered is
asked again. The chaos tests' oracle folds the same log with the answers that were recorded, and compares all outputs.
"""

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt
import pytest
from confluent_kafka.admin import AdminClient

from serving.catalogue import Catalogue
from serving.client import TritonScorer
from serving.model_card import ModelCard, model_repository, read_model_card, version_folder
from serving.scorer import Scorer, Tensors
from stream.configuration.clients import client_properties
from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.contracts import codec as messages
from stream.contracts.alerts import Alert
from stream.contracts.scores import ModelStamp, Score
from stream.contracts.topics import ALERTS, ALERTS_HOLDOUT, EVENTS, SCORE_REQUESTS, SCORES
from stream.decisions.deployment import Deployment
from stream.embedded.kafka import EmbeddedKafka
from stream.embedded.triton import EmbeddedTriton
from stream.operations.simulate import Load, synthetic
from stream.operations.topics import create_topics
from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from stream.workers.models import OneModel
from stream.workers.scoring import ScoringStage
from tests.chaos.checker import Reading, compare, expect, read_everything
from tests.chaos.input_log import Written
from tests.chaos.read_back import flat, read_topic
from tests.chaos.writer import Writer
from tests.end_to_end.workers import Team, team

SEED = int(os.environ.get("OUTAGE_SEED", "5"))
CALLS_IN_FLIGHT = 4
BACK_WITHIN_S = 10.0
PARTITIONS = 4
MEANWHILE = 600
SLICE = 20
_ON_THE_WIRE_S = 0.001

CONFIGURATION = """
[kafka]
bootstrap_servers = "{servers}"
[topics]
prefix = "{prefix}"
partitions = 4
[triton]
url = "{url}"
max_batch = 4
in_flight = 8
[engine]
session_timeout_ms = 4000
commit_interval_ms = 25
backlog_commit_interval_ms = 25
[profiles]
ask_interval_ms = 60000
browse_every_n = 1
[policies]
holdout_share = 0.2
daily_cap = 5
[policies.churn_risk]
raise_threshold = 0.3
resolve_threshold = 0.25
silent_from_days = 0.0
cool_down_days = 1.0
[policies.second_purchase]
raise_threshold = 0.3
resolve_threshold = 0.25
silent_from_days = 0.0
cool_down_days = 1.0
"""
"""Thresholds under which the fallback's scores would raise alerts too, if they were let."""


class Observed:
    """A scorer that is watched: how many calls are with the server, and when it answered.

    Args:
        strike: called once, on the event loop, when it is armed and enough calls are in flight.

    Attributes:
        in_flight_then: calls that had been sent and not answered at the strike.
        last_answer_at: monotonic seconds.
    """

    def __init__(self, scorer: Scorer, strike: Callable[[], None]) -> None:
        self._scorer = scorer
        self._strike = strike
        self.armed = threading.Event()
        self.struck = threading.Event()
        self.in_flight_then = 0
        self._in_flight = 0
        self.last_answer_at = 0.0

    @property
    def stamp(self) -> ModelStamp:
        return self._scorer.stamp

    async def ready(self) -> bool:
        return await self._scorer.ready()

    async def infer(self, tensors: Tensors, timeout_s: float) -> dict[str, npt.NDArray[Any]]:
        self._in_flight += 1
        try:
            if self.armed.is_set() and not self.struck.is_set() and self._in_flight > CALLS_IN_FLIGHT:
                # Time for the calls before this one to be on the wire, far from time enough for answers.
                await asyncio.sleep(_ON_THE_WIRE_S)
                if self._in_flight > CALLS_IN_FLIGHT and not self.struck.is_set():
                    self.in_flight_then = self._in_flight - 1
                    self._strike()
                    self.struck.set()
            outputs = await self._scorer.infer(tensors, timeout_s)
        finally:
            self._in_flight -= 1
        self.last_answer_at = time.monotonic()
        return outputs

    async def close(self) -> None:
        await self._scorer.close()


class Outage(NamedTuple):
    """What was seen of one outage."""

    reading: Reading
    configuration: Configuration
    back_after_s: float
    """From the server's readiness to the model's first answer."""
    folded_meanwhile: int
    """Events whose effects were committed while the server was away."""
    in_flight: int
    """Calls that the server had and did not answer when it was struck."""


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return read_model_card(version_folder(model_repository()))


@pytest.fixture
def triton(embedded_triton: EmbeddedTriton) -> Iterator[EmbeddedTriton]:
    """The session's server; whatever a test did to it, it serves again afterwards."""
    yield embedded_triton
    embedded_triton.resume()
    embedded_triton.start()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_events_go_on_without_the_model_and_it_is_asked_again_when_it_is_back(
    how: str, embedded_kafka: EmbeddedKafka, triton: EmbeddedTriton, topics: Topics, card: ModelCard, tmp_path: Path
) -> None:
    print(f"\nseed {SEED}, {how}")
    outage = _run(how, embedded_kafka, triton, topics.prefix, card, tmp_path)
    configuration, reading = outage.configuration, outage.reading
    deployment = Deployment(
        secret=configuration.deployment.secret.encode(), source=configuration.deployment.source, partitions=PARTITIONS
    )
    verdict = compare(reading, expect(reading, configuration, configuration.policies.in_force(card), deployment))
    scores = {
        (score.request_partition, score.request_offset): score
        for score in (messages.decode_score(record.value or b"") for record in flat(reading.topics[SCORES]))
    }
    alerts = [
        messages.decode_alert_event(record.value or b"").data
        for topic in (ALERTS, ALERTS_HOLDOUT)
        for record in flat(reading.topics[topic])
    ]
    reasons = Counter(score.answer.fallback_reason or "model" for score in scores.values())
    print(f"answers {dict(reasons)}, alerts {dict(Counter(alert.status for alert in alerts))}")
    print(f"{outage.in_flight} calls in flight, {outage.folded_meanwhile} events folded meanwhile")
    print(f"the model answers {outage.back_after_s:.2f} s after its return")
    print(verdict.report(faults=1))
    assert verdict.right
    assert outage.in_flight >= CALLS_IN_FLIGHT
    assert outage.folded_meanwhile >= MEANWHILE
    assert outage.back_after_s < BACK_WITHIN_S
    assert reasons.total() - reasons["model"] >= CALLS_IN_FLIGHT
    assert _still_unasked(list(scores.values())) == set()
    assert any(score.trigger == "retry" and not score.answer.fallback for score in scores.values())
    assert [alert for alert in alerts if _made_by_fallback(alert, scores)] == []
    # A fallback's score would have raised alerts, had it been let.
    threshold = configuration.policies.in_force(card).rules["churn_risk"].raise_threshold
    assert any(score.answer.fallback and score.answer.churn["90d"] >= threshold for score in scores.values())
    assert any(alert.status == "raised" for alert in alerts)


def _run(how: str, kafka: EmbeddedKafka, triton: EmbeddedTriton, prefix: str, card: ModelCard, folder: Path) -> Outage:
    path = folder / "tidemark.toml"
    path.write_text(CONFIGURATION.format(servers=kafka.bootstrap_servers, prefix=prefix, url=triton.grpc_url))
    configuration = load(path, {}).configuration
    create_topics(AdminClient(client_properties(configuration.kafka)), configuration.topics)
    names = configuration.topics.topic_names()
    events, requests = names.physical(EVENTS), names.physical(SCORE_REQUESTS)
    pid = triton.pid
    strike: Callable[[], None] = triton.pause if how == "frozen" else lambda: os.kill(pid, signal.SIGKILL)
    observed = Observed(TritonScorer(triton.grpc_url, card), strike)
    stage = ScoringStage(OneModel(observed, lambda: Catalogue.from_items(())), configuration.triton, "GBP")
    log = _log()
    writer = Writer(configuration, events)
    label = prefix.strip(".")
    with (
        team(configuration, "decisions", 1, label, lambda: stage) as decisions,
        team(configuration, "profiles", 1, label) as profiles,
    ):
        _write_until(writer, log, lambda: stage.model_answers > 100)
        observed.armed.set()
        _write_until(writer, log, observed.struck.is_set)
        before = writer.written
        _write_until(writer, log, lambda: stage.fallback_answers > 100 and writer.written >= before + MEANWHILE)
        profiles.await_offsets(configuration, events, writer.ends)
        meanwhile = writer.written - before
        asked_meanwhile = [
            max(r.offset + 1 for r in records) for records in read_topic(kafka.bootstrap_servers, requests)
        ]
        decisions.await_offsets(configuration, requests, asked_meanwhile)
        observed.last_answer_at = 0.0
        if how == "frozen":
            triton.resume()
        else:
            triton.start()
        back_at = time.monotonic()
        # A lock with a time-out in its Python backend, which runs onnxruntime here, can make a Triton die that goes on
        # after a stop. Then it is started again, as by whoever supervises it.
        if not eventually(lambda: observed.last_answer_at > 0 or not triton.alive) or not triton.alive:
            print(f"the server died: {triton.log_path.read_text()[-1_000:]}")
            triton.start()
            back_at = time.monotonic()
        assert eventually(lambda: observed.last_answer_at > 0), "the model does not answer after its return"
        back_after_s = observed.last_answer_at - back_at
        _write_until(writer, log, lambda: writer.written == len(log))
        profiles.await_offsets(configuration, events, writer.ends)
        _await_all_asked(configuration, requests, decisions)
    return Outage(read_everything(configuration), configuration, back_after_s, meanwhile, observed.in_flight_then)


def _log() -> list[Written]:
    load = Load(customers=300, events=3_000, seed=SEED)
    return [Written(event.customer_id.encode(), messages.encode(event)) for event in synthetic(load)]


def _write_until(writer: Writer, log: list[Written], done: Callable[[], bool]) -> None:
    """Write at a pace that keeps the model busy and no more."""
    while not done():
        assert writer.written < len(log), "the log came to its end first"
        writer.write(log[writer.written : writer.written + SLICE])
        time.sleep(0.02)


def _await_all_asked(configuration: Configuration, requests: str, decisions: Team) -> None:
    """Until nobody's newest answer is a fallback's, and nothing is left to read."""
    names, servers = configuration.topics.topic_names(), configuration.kafka.bootstrap_servers

    def all_asked() -> bool:
        decisions.check()
        found = [messages.decode_score(r.value or b"") for r in flat(read_topic(servers, names.physical(SCORES)))]
        return not _still_unasked(found)

    decisions.await_offsets(configuration, requests, _ends(configuration, requests))
    assert eventually(all_asked, timeout=60), "not everybody was asked again"
    decisions.await_offsets(configuration, requests, _ends(configuration, requests))


def _ends(configuration: Configuration, topic: str) -> list[int]:
    """Offset behind the last record, by partition."""
    partitions = read_topic(configuration.kafka.bootstrap_servers, topic)
    return [max(record.offset + 1 for record in records) for records in partitions]


def _still_unasked(scores: list[Score]) -> set[str]:
    """Customers whose newest answer is a fallback's."""
    newest: dict[str, Score] = {}
    for score in scores:
        other = newest.get(score.customer_id)
        if other is None or score.request_offset > other.request_offset:
            newest[score.customer_id] = score
    return {customer for customer, score in newest.items() if score.answer.fallback}


def _made_by_fallback(alert: Alert, scores: dict[tuple[int, int], Score]) -> bool:
    """Whether a fallback's score raised, updated or resolved it; a purchase ends an alert whoever answered."""
    by_score = alert.status in ("raised", "updated") or alert.resolve_reason == "recovered"
    score = scores[(alert.evidence.partition, alert.evidence.request_offset)]
    return by_score and score.answer.fallback

"""Answers that overtake each other are applied in the order of the questions, and late ones are not applied at all.

Three workers of decisions, eight batches in flight each, a line to Triton that keeps answers back for up to 300 ms and
one in twenty for longer than the deadline, and ten customers who make half of the traffic.
"""

import os
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
from confluent_kafka.admin import AdminClient

from serving.catalogue import Catalogue
from serving.features import tensors
from serving.in_process import OnnxScorer
from serving.model_card import HORIZONS, model_repository, read_model_card, version_folder
from serving.shop import SHOP_FILE, read_shop
from stream.configuration.clients import client_properties
from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.contracts import codec as messages
from stream.contracts.emission import Origin
from stream.contracts.ids import request_id
from stream.contracts.scores import Score, ScoreRequest
from stream.contracts.times import MINUTE_MS, to_epoch_ms
from stream.contracts.topics import FILLER_KEY, PREDICTIONS, SCORE_REQUESTS, SCORES
from stream.embedded.kafka import EmbeddedKafka
from stream.embedded.triton import EmbeddedTriton
from stream.operations.simulate import Load, synthetic
from stream.operations.topics import create_topics
from stream.profiles import codec as profile_codec
from stream.profiles.fold import fold
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings
from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from tests.chaos.input_log import Written
from tests.chaos.read_back import Record, read_topic
from tests.chaos.writer import Writer
from tests.end_to_end.slow_line import FORGED_CHURN, SlowLine
from tests.end_to_end.workers import Team, team

SEED = int(os.environ.get("ORDER_SEED", "11"))
REQUESTS = int(os.environ.get("ORDER_REQUESTS", "1600"))
WORKERS = 3
HOT = 10
CUSTOMERS = 310
LONGEST_MS = 300.0
DEADLINE_MS = 600
LATE_SHARE = 0.05
ROUNDING = 0.001
_BATCH = 64

CONFIGURATION = f"""
[kafka]
bootstrap_servers = "{{servers}}"
[topics]
prefix = "{{prefix}}"
partitions = 6
[triton]
url = "{{url}}"
max_batch = 2
in_flight = 8
retries = 0
deadline_ms = {DEADLINE_MS}
backlog_deadline_ms = {DEADLINE_MS}
[triton.breaker]
failures = 1000
[engine]
session_timeout_ms = 4000
"""
"""The breaker stays closed, or the fallback would answer at once and nothing would be in flight."""


def questions(seed: int) -> list[ScoreRequest]:
    """Requests at ever later times; every second one is of one of ten customers."""
    draw = Random(f"questions:{seed}")
    profiles: dict[str, Profile | None] = {}
    settings = ProfileSettings()
    newest = 0
    for offset, event in enumerate(synthetic(Load(customers=CUSTOMERS, events=20 * CUSTOMERS, seed=seed))):
        newest = to_epoch_ms(event.time)
        event.time = newest
        origin = Origin("events", 0, offset)
        profiles[event.customer_id] = fold(profiles.get(event.customer_id), event, newest, origin, settings).profile
    known = {customer: profile_codec.encode(profile) for customer, profile in profiles.items() if profile is not None}
    asked: list[ScoreRequest] = []
    everybody = sorted(known)
    hot, cold = everybody[:HOT], everybody[HOT:]
    for number in range(REQUESTS):
        customer = draw.choice(hot if number % 2 else cold)
        as_of = newest + (number + 1) * MINUTE_MS
        asked.append(
            ScoreRequest(
                kind="score",
                request_id=request_id(customer, "browse", as_of),
                customer_id=customer,
                as_of=as_of,
                trigger="browse",
                profile=known[customer],
                events_topic="events",
                last_offset=number,
            )
        )
    return asked


def test_answers_are_applied_in_the_order_of_the_questions_and_late_ones_never(
    embedded_kafka: EmbeddedKafka, embedded_triton: EmbeddedTriton, topics: Topics, tmp_path: Path
) -> None:
    print(f"\nseed {SEED}")
    with SlowLine(embedded_triton.grpc_url, SEED, LONGEST_MS, LATE_SHARE, late_ms=2 * DEADLINE_MS) as line:
        configuration = configured(embedded_kafka, topics.prefix, line.url, tmp_path)
        create_topics(AdminClient(client_properties(configuration.kafka)), configuration.topics)
        names = configuration.topics.topic_names()
        asked = questions(SEED)
        with team(configuration, "decisions", WORKERS, topics.prefix.strip(".")) as decisions:
            assert eventually(lambda: _all_hold_partitions(decisions)), "not every worker got partitions"
            writer = Writer(configuration, names.physical(SCORE_REQUESTS))
            writer.write(Written(request.customer_id.encode(), messages.encode(request)) for request in asked)
            decisions.await_offsets(configuration, names.physical(SCORE_REQUESTS), writer.ends)
        servers = embedded_kafka.bootstrap_servers
        requests = read_topic(servers, names.physical(SCORE_REQUESTS))
        scores = read_topic(servers, names.physical(SCORES))
        predictions = read_topic(servers, names.physical(PREDICTIONS))
    depths = [worker.deepest_in_flight for worker in decisions.workers]
    answered = [[messages.decode_score(record.value or b"") for record in records] for records in scores]
    given = [score for partition in answered for score in partition]
    reasons = Counter(score.answer.fallback_reason or "model" for score in given)
    overtaken = sum(1 for before, after in zip(line.ended, line.ended[1:], strict=False) if after < before)
    print(f"{len(line.begun)} calls, {line.late} of them late, {overtaken} overtaken; depths {depths}; {dict(reasons)}")

    for partition, records in enumerate(requests):
        _assert_in_order(records, answered[partition], partition)
        _assert_views_follow(predictions[partition], answered[partition])
    assert not [score for score in given if set(score.answer.churn.values()) == {FORGED_CHURN}]
    _assert_own_answers(given, asked)
    # The line was as bad as it is said to be.
    assert min(depths) >= 6
    assert overtaken > len(line.ended) // 10
    assert line.late > 0
    assert reasons["timeout"] > 0


def _assert_in_order(requests: list[Record], answered: list[Score], partition: int) -> None:
    """Every question of the log, answered once, in the order of the log."""
    asked = [(r.offset, messages.decode_score_request(r.value or b"")) for r in requests if r.key is not None]
    upto = max((score.request_offset for score in answered), default=-1)
    # A question that was put again in the last moment may be unanswered: the log ends, the workers were stopped.
    due = [(offset, request.request_id) for offset, request in asked if offset <= upto or request.trigger != "retry"]
    assert [(score.request_offset, score.request_id) for score in answered] == due, f"partition {partition}"


def _assert_views_follow(predictions: list[Record], answered: list[Score]) -> None:
    """A customer's views come in the order of the answers."""
    views: dict[str, list[str]] = {}
    for record in predictions:
        if record.key == FILLER_KEY:
            continue
        view = messages.decode_prediction(record.value or b"")
        views.setdefault(view.customer_id, []).append(view.request_id)
    for customer, seen in views.items():
        order = iter(score.request_id for score in answered if score.customer_id == customer)
        assert all(request in order for request in seen), customer


def _assert_own_answers(given: list[Score], asked: list[ScoreRequest]) -> None:
    """Each question has the answer to itself, as the same model gives it in process."""
    folder = version_folder(model_repository())
    scorer = OnnxScorer(folder, read_model_card(folder))
    catalogue = Catalogue.from_items((), None, read_shop(folder / SHOP_FILE))
    profiles = {request.customer_id: profile_codec.decode(request.profile) for request in asked}
    by_model = [score for score in given if not score.answer.fallback]
    for start in range(0, len(by_model), _BATCH):
        batch = by_model[start : start + _BATCH]
        rows = tensors([profiles[score.customer_id] for score in batch], [score.as_of for score in batch], catalogue)
        for score, churn in zip(batch, scorer.run(rows)["churn"], strict=True):
            said = [score.answer.churn[horizon] for horizon in HORIZONS]
            assert np.abs(np.array(said) - churn).max() <= ROUNDING, score.request_id


def _all_hold_partitions(decisions: Team) -> bool:
    decisions.check()
    return all(len(worker.partitions) == 2 for worker in decisions.workers)


def configured(kafka: EmbeddedKafka, prefix: str, url: str, folder: Path) -> Configuration:
    path = folder / "tidemark.toml"
    path.write_text(CONFIGURATION.format(servers=kafka.bootstrap_servers, prefix=prefix, url=url))
    return load(path, {}).configuration

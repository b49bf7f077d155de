"""The benchmark of the role `decisions` measures a worker that the model answers, and refuses any other run."""

import pytest

from benchmarks.cluster import make_topics
from benchmarks.decisions import NotScored, Setting, measure, require_scores
from benchmarks.model_time import ModelServer
from benchmarks.request_log import write_requests
from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.contracts.codec import encode
from stream.contracts.scores import Answer, FallbackReason, ModelStamp, Score
from stream.contracts.topics import SCORES
from stream.embedded.kafka import EmbeddedKafka
from stream.embedded.triton import EmbeddedTriton
from stream.operations.brokers import connect_admin
from stream.testing.topics import Topics


@pytest.fixture
def configuration(topics: Topics) -> Configuration:
    environ = {
        "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": topics.bootstrap_servers,
        "TIDEMARK__TOPICS__PREFIX": topics.prefix,
    }
    return load(None, environ).configuration


def test_a_run_is_scored_by_the_model_and_by_it_alone(
    embedded_kafka: EmbeddedKafka,
    embedded_triton: EmbeddedTriton,
    topics: Topics,
    configuration: Configuration,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A log of a second would else be committed at once.
    monkeypatch.setenv("TIDEMARK__ENGINE__BACKLOG_COMMIT_INTERVAL_MS", "50")
    monkeypatch.setenv("TIDEMARK__ENGINE__COMMIT_INTERVAL_MS", "50")
    log = write_requests(connect_admin(configuration.kafka), configuration, topics.name("log"), 200)
    model = ModelServer(embedded_triton.grpc_url)
    try:
        assert model.instances() == 1
        measured, spent = measure(embedded_kafka, model, log, Setting(1, 1), topics.name("run"))
    finally:
        model.close()
    assert measured.events_per_second > 0
    assert measured.cpu_us_per_event > 0
    # One at a time, each a run of its own; and once more when the worker warms the model up.
    assert log.requests < spent.customers == spent.calls == spent.executions < log.requests + 10
    assert spent.compute_ns > 0


def answered(request_id: str, reason: FallbackReason = "") -> bytes:
    stamp = ModelStamp(name="customer", version="1", feature_schema="")
    answer = Answer({}, {}, 0.0, 0.0, "GBP", [], stamp, fallback=bool(reason), fallback_reason=reason)
    return encode(Score(request_id, "ada", 1, "purchase", answer, 0, 0))


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([answered("1"), answered("2", "timeout")], r"fallback answered 1 of 2 requests \(timeout\)"),
        ([answered("1")], "2 requests have 1 answers"),
        ([answered("1"), answered("1")], "2 requests have 2 answers, to 1 of them"),
        ([answered("1"), answered("2"), answered("2")], "2 requests have 3 answers"),
    ],
    ids=["fallback", "lost", "another", "twice"],
)
def test_a_run_that_the_model_did_not_answer_whole_is_refused(
    topics: Topics, configuration: Configuration, scores: list[bytes], said: str
) -> None:
    make_topics(configuration)
    topic = configuration.topics.topic_names().physical(SCORES)
    topics.produce(topic, [("ada", score) for score in scores])
    with pytest.raises(NotScored, match=said):
        require_scores(configuration, 2)

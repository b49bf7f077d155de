"""The topics are those that the design promises, and nobody can misname them."""

import pytest

from stream.contracts import topics
from stream.contracts.topics import TOPICS, TopicNames, changelog

DAY = 86_400_000

TABLE = {
    "customer.events.v1": ("delete", 400 * DAY),
    "catalog.items.v1": ("compact", None),
    "customer.score-requests.v1": ("delete", 30 * DAY),
    "customer.scores.v1": ("delete", 400 * DAY),
    "customer.predictions.v1": ("compact", None),
    "customer.alerts.v1": ("delete", 400 * DAY),
    "customer.alerts.open.v1": ("compact", None),
    "customer.alerts.holdout.v1": ("delete", 400 * DAY),
    "customer.alerts.undelivered.v1": ("delete", 30 * DAY),
    "customer.recommendations.v1": ("compact", None),
    "customer.dead-letters.v1": ("delete", 30 * DAY),
    "customer.dead-letters.settled.v1": ("compact", None),
    "customer.erasures.v1": ("compact", None),
    "customer.erased.v1": ("delete", 30 * DAY),
    "tidemark.control.v1": ("delete", -1),
}


def test_the_table_is_the_one_of_the_design() -> None:
    assert {spec.base_name: (spec.cleanup_policy, spec.retention_ms) for spec in TOPICS.values()} == TABLE


@pytest.mark.parametrize(
    "spec", [*TOPICS.values(), changelog("profiles"), changelog("decisions")], ids=lambda s: s.name
)
def test_erased_bytes_leave_every_compacted_topic_within_days(spec: topics.TopicSpec) -> None:
    settings = spec.settings()
    bounds = {
        "segment.bytes": "67108864",
        "min.cleanable.dirty.ratio": "0.2",
        "max.compaction.lag.ms": "86400000",
        "delete.retention.ms": "172800000",
    }
    assert (bounds.items() <= settings.items()) == (settings["cleanup.policy"] == "compact")


def test_time_on_the_folded_topics_is_the_brokers() -> None:
    appended = {name for name, spec in TOPICS.items() if spec.settings()["message.timestamp.type"] == "LogAppendTime"}
    assert appended == {topics.EVENTS, topics.SCORE_REQUESTS}


def test_requests_and_changelogs_lie_beside_the_events() -> None:
    beside = {name for name, spec in TOPICS.items() if spec.copartition_group == topics.CUSTOMERS}
    assert {topics.EVENTS, topics.SCORE_REQUESTS} <= beside
    assert changelog("profiles").copartition_group == changelog("decisions").copartition_group == topics.CUSTOMERS


def test_a_prefix_stands_before_every_name() -> None:
    names = TopicNames("staging.")
    assert names.physical(topics.EVENTS) == "staging.customer.events.v1"
    assert names.changelog("profiles") == "staging.tidemark.profiles.changelog.v1"


def test_a_given_name_is_used_as_it_is() -> None:
    names = TopicNames("staging.", {"events": "shop.clicks"})
    assert names.physical(topics.EVENTS) == "shop.clicks"
    assert names.physical(topics.ALERTS) == "staging.customer.alerts.v1"


@pytest.mark.parametrize(
    ("prefix", "names", "said"),
    [
        ("a b.", {}, "cannot be called"),
        ("x" * 240, {}, "249 at most"),
        ("", {"event": "shop.clicks"}, "unknown topic 'event'"),
        ("", {"events": "one", "alerts": "one"}, "cannot both be called 'one'"),
        ("", {"events": ".."}, "cannot be called"),
    ],
)
def test_a_name_that_the_broker_would_refuse_is_refused_first(prefix: str, names: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TopicNames(prefix, names)


def test_an_unknown_logical_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        TopicNames().physical("event")

"""Topics by the names that people give them, and as they must be on the broker."""

import pytest

from stream.configuration.settings import TopicSettings
from stream.contracts.topics import TOPICS
from stream.operations.names import UnknownTopicError, find_topic
from stream.operations.topics import wanted_topics

STAGING = TopicSettings(prefix="staging.", names={"events": "shop.events"}, partitions=6, replication=3)


@pytest.mark.parametrize(
    ("name", "logical", "physical"),
    [
        ("alerts", "alerts", "staging.customer.alerts.v1"),
        ("dead-letters", "dead_letters", "staging.customer.dead-letters.v1"),
        ("events", "events", "shop.events"),
        ("shop.events", "events", "shop.events"),
        ("profiles-changelog", "profiles_changelog", "staging.tidemark.profiles.changelog.v1"),
    ],
)
def test_a_topic_is_found_by_any_of_its_names(name: str, logical: str, physical: str) -> None:
    assert find_topic(name, STAGING) == (logical, physical)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("recomendations", "recommendations"),
        ("open-alerts", "alerts_open"),
        ("Alerts", "alerts"),
        ("alert", "alerts"),
        ("holdout", "alerts_holdout"),
        ("open", "alerts_open"),
        ("holdout_alerts", "alerts_holdout"),
        ("deadletters", "dead_letters"),
        ("dead-letter", "dead_letters"),
        ("requests", "score_requests"),
        ("score", "scores"),
        ("customer.alerts.v1", "alerts"),
        ("customer.alerts.open", "alerts_open"),
        ("catalog", "catalogue"),
        ("changelog", "profiles_changelog or decisions_changelog"),
        ("event", "events"),
    ],
)
def test_a_name_nearby_is_refused_with_the_one_that_is_meant(name: str, meant: str) -> None:
    with pytest.raises(UnknownTopicError, match=rf"did you mean {meant}\?$"):
        find_topic(name, STAGING)


def test_a_name_far_from_all_is_refused_with_all() -> None:
    with pytest.raises(UnknownTopicError, match="there are events, catalogue"):
        find_topic("zzz", STAGING)


def test_every_topic_and_both_changelogs_are_wanted_with_the_partitions_of_the_deployment() -> None:
    wanted = {topic.name: topic for topic in wanted_topics(STAGING)}
    assert len(wanted) == len(TOPICS) + 2
    assert wanted["shop.events"].partitions == 6
    assert wanted["staging.tidemark.control.v1"].partitions == 1
    assert {topic.replication for topic in wanted.values()} == {3}

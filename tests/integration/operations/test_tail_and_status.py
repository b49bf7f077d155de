"""Reading topics and the state of a deployment from a real broker."""

import json
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from stream.configuration.clients import consumer_properties, producer_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics as logical
from stream.contracts.codec import encode
from stream.contracts.dead_letters import dead_letter
from stream.contracts.emission import Origin, Rejected
from stream.contracts.scores import Answer, ModelStamp, Score
from stream.engine.position import POSITION_KEY, Position, encode_position
from stream.operations.brokers import connect_admin, settled_ends
from stream.operations.status import PartitionStatus, status
from stream.operations.tail import tail
from stream.operations.watch import Watch
from stream.testing.topics import Topics
from stream.testing.waiting import eventually

NOW = int(time.time() * 1000)


def transaction(deployment: Configuration, topic: str, count: int, commit: bool, partition: int = 0) -> None:
    producer = Producer({**producer_properties(deployment.kafka), "transactional.id": "test"})
    producer.init_transactions(10)
    producer.begin_transaction()
    for number in range(count):
        producer.produce(topic, key=b"k", value=b"%d" % number, partition=partition)
    producer.flush()
    if commit:
        producer.commit_transaction()
    else:
        producer.abort_transaction()


def fold(deployment: Configuration, role: str, topic: str, offset: int) -> None:
    """Commit an offset as a role does."""
    group = deployment.topics.topic_names().group(role)
    consumer = Consumer({**consumer_properties(deployment.kafka), "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


@pytest.fixture
def events(deployment: Configuration) -> str:
    return deployment.topics.topic_names().physical(logical.EVENTS)


def test_tail_shows_what_was_committed_and_nothing_else(deployment: Configuration, events: str) -> None:
    transaction(deployment, events, 3, commit=True)
    transaction(deployment, events, 5, commit=False)
    transaction(deployment, events, 2, commit=True)
    found = [each.value for each in tail(deployment.kafka, events, from_beginning=True, follow=False)]
    assert found == [b"0", b"1", b"2", b"0", b"1"]


def test_tail_without_the_beginning_starts_behind_the_newest_record(deployment: Configuration, events: str) -> None:
    transaction(deployment, events, 3, commit=True)
    assert list(tail(deployment.kafka, events, follow=False)) == []


def test_a_limit_ends_a_tail_that_follows(deployment: Configuration, events: str) -> None:
    transaction(deployment, events, 5, commit=True)
    assert len(list(tail(deployment.kafka, events, from_beginning=True, limit=4))) == 4


def test_an_untouched_deployment_is_behind_by_nothing(deployment: Configuration) -> None:
    found = status(deployment, connect_admin(deployment.kafka), NOW)
    assert [(role.role, role.lag_records, role.lag_seconds) for role in found.roles] == [
        ("profiles", 0, 0),
        ("decisions", 0, 0),
    ]
    assert (found.model, found.dead_letters) == (None, {})


def test_lag_counts_from_the_oldest_event_that_is_not_folded(deployment: Configuration, events: str) -> None:
    transaction(deployment, events, 10, commit=True)
    fold(deployment, "profiles", events, 4)
    found = status(deployment, connect_admin(deployment.kafka), int(time.time() * 1000) + 60_000)
    first = found.roles[0].partitions[0]
    assert (first.committed, first.end) == (4, 11)
    assert first.lag_records == 7
    assert 60 <= first.lag_seconds < 90


def test_markers_of_transactions_are_no_lag(deployment: Configuration, events: str) -> None:
    transaction(deployment, events, 10, commit=True)
    transaction(deployment, events, 10, commit=False)
    fold(deployment, "profiles", events, 10)
    assert status(deployment, connect_admin(deployment.kafka), NOW).roles[0].lag_records == 0
    with Watch(deployment) as watch:
        fold(deployment, "profiles", events, 21)
        assert watch.look("profiles").idle
        fold(deployment, "profiles", events, 9)
        assert not watch.look("profiles").idle


def test_an_open_transaction_is_lag_and_is_said(deployment: Configuration, events: str) -> None:
    transaction(deployment, events, 10, commit=True)
    fold(deployment, "profiles", events, 4)
    hanging = Producer({**producer_properties(deployment.kafka), "transactional.id": "hanging"})
    hanging.init_transactions(10)
    hanging.begin_transaction()
    for _ in range(2):
        hanging.produce(events, key=b"k", value=b"v", partition=0)
    hanging.flush()
    admin = connect_admin(deployment.kafka)

    def first(now: int) -> PartitionStatus:
        return status(deployment, admin, now).roles[0].partitions[0]

    later = int(time.time() * 1000) + 60_000
    found = first(later)
    # Ten records and their marker, then two that wait.
    assert (found.end, found.lag_records, found.open_records) == (13, 9, 2)
    assert 60 <= found.open_seconds <= found.lag_seconds < 120
    with Watch(deployment) as watch:
        fold(deployment, "profiles", events, 11)
        assert not watch.look("profiles").idle
        found = first(later)
        assert (found.lag_records, found.open_records) == (2, 2)
        assert found.lag_seconds == found.open_seconds >= 60
        assert [each.value for each in tail(deployment.kafka, events, from_beginning=True, follow=False)][10:] == []
        hanging.abort_transaction()
        assert eventually(lambda: watch.look("profiles").idle)
    found = first(later)
    assert (found.lag_records, found.open_records, found.open_seconds, found.lag_seconds) == (0, 0, 0, 0)


def test_what_was_committed_is_there_at_once(deployment: Configuration, events: str) -> None:
    producer = Producer({**producer_properties(deployment.kafka), "transactional.id": "test"})
    producer.init_transactions(10)
    admin = connect_admin(deployment.kafka)
    places = [TopicPartition(events, partition) for partition in range(3)]
    for committed in range(1, 41):
        producer.begin_transaction()
        for partition in range(3):
            producer.produce(events, key=b"k", value=b"v", partition=partition)
        producer.commit_transaction()
        # A record and a marker each time; the last marker may still be missing.
        assert min(settled_ends(admin, places).values()) >= 2 * committed - 1


def test_position_model_and_dead_letters_are_shown(deployment: Configuration, topics: Topics) -> None:
    names = deployment.topics.topic_names()
    position = encode_position(Position(offset=5, time=1_306_919_520_000, fold_version=1))
    topics.produce(
        names.changelog("profiles"), [("c1", "state"), (POSITION_KEY, position), ("c2", "state")], partition=0
    )
    for fallback in (False, True):
        answer = Answer({"90d": 0.5}, {}, 1.0, 1.0, "GBP", [], ModelStamp("customer", "1.abc", "f"), fallback=fallback)
        topics.produce(names.physical(logical.SCORES), [("c1", encode(Score("r", "c1", 1, "purchase", answer, 0, 0)))])
    for code in ("not_json", "not_json", "too_late"):
        letter = dead_letter(
            Rejected(code, "x"),  # type: ignore[arg-type]
            Origin("t", 0, 0),
            key=b"c1",
            value=b"v",
            headers=(),
            timestamp=NOW,
            worker_version="1",
        )
        topics.produce(names.physical(logical.DEAD_LETTERS), [("c1", "v")], headers=dict(letter.headers))
    now = int(time.time() * 1000)
    found = status(deployment, connect_admin(deployment.kafka), now)
    first = found.roles[0].partitions[0]
    assert first.event_time == 1_306_919_520_000
    assert first.last_commit is not None
    assert abs(first.last_commit - now) < 300_000
    assert found.model is not None
    assert (found.model.model.version, found.model.fallback) == ("1.abc", True)
    assert found.dead_letters == {"not_json": 2, "too_late": 1}


def test_the_newest_position_is_found_behind_many_states(deployment: Configuration, topics: Topics) -> None:
    changelog = deployment.topics.topic_names().changelog("profiles")
    position = encode_position(Position(offset=5, time=77, fold_version=1))
    topics.produce(
        changelog, [(POSITION_KEY, position), *[(f"c{number}", "state") for number in range(500)]], partition=0
    )
    assert status(deployment, connect_admin(deployment.kafka), NOW).roles[0].partitions[0].event_time == 77


def test_records_as_json_can_be_read_back(deployment: Configuration, events: str) -> None:
    transaction(deployment, events, 1, commit=True)
    (record,) = tail(deployment.kafka, events, from_beginning=True, follow=False)
    assert json.loads(record.as_json())["value"] == 0

"""A replay of the same log by the same code says the same, whatever it goes through; another policy says another thing;
and the live deployment notices nothing of either.

The live deployment is the run of ``conftest.py``, whose answers are on record and come from no model, so that a replay
that asked one would be found out.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.codec import decode_alert_event, decode_score_request
from stream.operations.brokers import connect_admin, make_consumer, partitions_of, settled_ends
from stream.operations.replays.begin import ReplayRefused, Wanted, begin
from stream.operations.replays.compare import compare
from stream.operations.replays.drop import drop
from stream.operations.replays.record import Replay, UnknownReplay, ids, prefix_of, read, sandbox_of
from stream.operations.replays.run import Run
from stream.operations.replays.window import NotComparable
from stream.testing.topics import Topics
from tests.chaos.read_back import Record, flat, read_topic
from tests.end_to_end.conftest import SPEED
from tests.end_to_end.repeats import BY_CUSTOMER, Outputs, Shop

Told = tuple[str, int, int]


@pytest.fixture(scope="module")
def live(shop: Shop, original: Outputs, original_prefix: str) -> Configuration:
    return shop.configuration(original_prefix, SPEED)


@pytest.fixture
def ends(live: Configuration) -> Iterator[dict[tuple[str, int], int]]:
    """The ends of all live topics; they must be the same when the test is over."""
    before = _ends(live)
    yield before
    assert _ends(live) == before, "a replay has written to a live topic"


def replayed(live: Configuration, name: str, wanted: Wanted | None = None) -> Replay:
    return Run(live, begin(live, name, wanted or Wanted()), lambda *_: None).work().replay


def test_the_same_code_over_the_same_events_says_the_same(
    live: Configuration, ends: dict[tuple[str, int], int]
) -> None:
    told: list[Told] = []
    done = Run(live, begin(live, "same", Wanted()), lambda *each: told.append(each)).work().replay
    found = compare(live, "live", "same", examples=3)
    assert found.alerts.first == found.alerts.same >= 300, found
    assert (found.alerts.different, found.recommendations.different) == (0, 0), found
    assert found.recommendations.same == found.recommendations.compared >= 50
    assert done.asked == 0, "every answer is on record"
    assert {what for what, _, _ in told} == {"events", "questions"}
    assert all(0 <= done <= total for _, done, total in told)


def test_recorded_questions_give_the_same_bytes(
    live: Configuration, original: Outputs, ends: dict[tuple[str, int], int]
) -> None:
    replay = replayed(live, "questions", Wanted(source="requests"))
    names = sandbox_of(live, replay).topics.topic_names()
    questions = [decode_score_request(record.value or b"") for record in flat(original[topics.SCORE_REQUESTS])]
    # What lies before an erasure is skipped, and so is not said again.
    erased = {question.customer_id.encode() for question in questions if question.kind == "erase"}
    assert 0 < len(erased) < len({question.customer_id for question in questions}) // 2
    for topic in set(BY_CUSTOMER) - {topics.SCORE_REQUESTS}:
        again = read_topic(live.kafka.bootstrap_servers, names.physical(topic))
        assert _bytes_of(again, erased) == _bytes_of(original[topic], erased), topic
    assert compare(live, "questions", "live", examples=0).within(0.0)


def test_another_policy_makes_a_difference_and_says_which(
    live: Configuration, ends: dict[tuple[str, int], int]
) -> None:
    own = live.policies
    assert own.churn_risk.raise_threshold is not None
    stricter = msgspec.structs.replace(own.churn_risk, raise_threshold=own.churn_risk.raise_threshold + 0.1)
    replayed(live, "stricter", Wanted(source="requests", policies=msgspec.structs.replace(own, churn_risk=stricter)))
    found = compare(live, "live", "stricter", examples=2)
    assert found.alerts.vanished > 0
    assert found.alerts.moved > 0
    assert not found.within(found.alerts.share - 0.001)
    assert found.within(1.0)
    assert {example.kind for example in found.alerts.examples if example.difference == "vanished"} == {"churn_risk"}
    mirrored = compare(live, "stricter", "live", examples=0)
    assert (mirrored.alerts.appeared, mirrored.alerts.second) == (found.alerts.vanished, found.alerts.first)


def test_a_part_of_the_log_is_held_against_the_same_part_of_what_was_said(
    live: Configuration, shop: Shop, ends: dict[tuple[str, int], int]
) -> None:
    until = {number: end // 2 for number, end in enumerate(shop.ends)}
    since = {number: end // 4 for number, end in enumerate(shop.ends)}
    replay = replayed(live, "part", Wanted(since=since, until=until))
    found = compare(live, "live", "part", examples=3)
    assert found.within(0.0), found
    names = sandbox_of(live, replay).topics.topic_names()
    said = flat(read_topic(live.kafka.bootstrap_servers, names.physical(topics.ALERTS)))
    evidence = [decode_alert_event(record.value or b"").data.evidence for record in said]
    assert all(each.last_offset < until[each.partition] for each in evidence)
    counted = {(each.partition, each.first_offset) for each in evidence if each.last_offset >= since[each.partition]}
    assert 0 < found.alerts.first <= len(evidence)
    assert len(counted) < len({(each.partition, each.first_offset) for each in evidence})


def test_a_replay_that_is_told_to_stop_goes_on_later(live: Configuration, ends: dict[tuple[str, int], int]) -> None:
    stopped: list[str] = []
    made = begin(live, "stopped", Wanted())

    def told(what: str, done: int, total: int) -> None:
        if what not in stopped and done > 0:
            stopped.append(what)
            run.stop()

    while True:
        run = Run(live, read(live, "stopped"), told)
        if run.work().replay.done_at:
            break
        with pytest.raises(NotComparable, match="not done"):
            compare(live, "live", "stopped", examples=0)
    assert stopped
    assert made.done_at == 0
    assert compare(live, "live", "stopped", examples=3).within(0.0)


def test_a_replay_that_is_killed_at_random_ends_with_the_same_result(
    live: Configuration, shop: Shop, original_prefix: str, ends: dict[tuple[str, int], int]
) -> None:
    seed = int(os.environ.get("REPLAY_SEED", random.SystemRandom().randrange(1_000)))
    print(f"REPLAY_SEED={seed}")
    draw = random.Random(seed)
    begin(live, "killed", Wanted())
    config = shop.folder / f"{original_prefix}toml"
    kills = 0
    for patience in (0.6, 1.2, 2.0, None):
        command = [sys.executable, "-m", "stream.cli", "--config", str(config), "replay", "resume", "killed"]
        with subprocess.Popen(
            command,
            env=os.environ | {"TIDEMARK__TOPICS__NAMES": json.dumps({topics.EVENTS: shop.events_topic})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                process.wait(60.0 if patience is None else patience + draw.uniform(0, 2.0))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills += 1
            assert process.stderr is not None
            error = process.stderr.read().decode()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, error
    assert kills > 0
    assert read(live, "killed").done_at, error
    assert compare(live, "live", "killed", examples=3).within(0.0)


def test_one_customer_needs_one_partition(live: Configuration, original: Outputs) -> None:
    customer = next(record.key or b"" for record in flat(original[topics.ALERTS])).decode()
    replay = replayed(live, "customer", Wanted(customer=customer))
    assert sum(end > 0 for end in replay.until.values()) == 1
    found = compare(live, "live", "customer", examples=3)
    assert found.within(0.0), found
    assert found.alerts.first > 0
    assert found.recommendations.compared <= 1


def test_what_cannot_be_replayed_or_compared_is_refused(live: Configuration, original: Outputs) -> None:
    with pytest.raises(ReplayRefused, match="cannot name a replay"):
        begin(live, "Not.A.Name", Wanted())
    with pytest.raises(ReplayRefused, match="no partition 99"):
        begin(live, "beyond", Wanted(until={99: 1}))
    with pytest.raises(ReplayRefused, match="nothing to replay"):
        begin(live, "empty", Wanted(until=0))
    with pytest.raises(UnknownReplay, match="`tidemark replay` makes one"):
        read(live, "absent")
    with pytest.raises(NotComparable, match="both are the live deployment"):
        compare(live, "live", "live", examples=0)
    begin(live, "begun", Wanted(until=int(time.time() * 1000)))
    with pytest.raises(ReplayRefused, match="there is a replay 'begun'"):
        begin(live, "begun", Wanted())


def test_a_dropped_replay_leaves_nothing_and_takes_nothing_live(
    live: Configuration, own_topics: Topics, ends: dict[tuple[str, int], int], tmp_path: Path
) -> None:
    replayed(live, "dropped", Wanted(source="requests"))
    assert "dropped" in ids(live, connect_admin(live.kafka))
    admin = AdminClient(client_properties(live.kafka))
    prefix = prefix_of(live, "dropped")
    of_another_deployment = f"{prefix}staging.customer.alerts.v1"
    admin.create_topics([NewTopic(of_another_deployment, 1)])[of_another_deployment].result()
    drop(live, "dropped")
    left = [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)]
    assert left == [of_another_deployment]
    admin.delete_topics([of_another_deployment])[of_another_deployment].result()
    assert not [group for group in admin.list_consumer_groups().result().valid if group.group_id.startswith(prefix)]
    assert not (Path(live.data_dir) / "replays" / "dropped").exists()
    with pytest.raises(UnknownReplay):
        drop(live, "dropped")
    # The name can be used again.
    replayed(live, "dropped", Wanted(source="requests"))


def _ends(live: Configuration) -> dict[tuple[str, int], int]:
    names = live.topics.topic_names()
    physical = [names.physical(name) for name in topics.TOPICS] + [
        names.changelog(r) for r in ("profiles", "decisions")
    ]
    consumer = make_consumer(live.kafka, "test.ends")
    try:
        return settled_ends(connect_admin(live.kafka), partitions_of(consumer, physical))
    finally:
        consumer.close()


def _bytes_of(partitions: list[list[Record]], without: set[bytes]) -> list[list[tuple[object, ...]]]:
    return [
        [(record.key, record.value, record.headers) for record in records if record.key not in without]
        for records in partitions
    ]

"""Ten times ``kill -9``, some between produce, send_offsets and commit: every effect is there, once.

The promise of the whole project in one test: a known log, faults from a printed seed, and a checker that reads
everything back and knows nothing of the engine. ``CHAOS_EVENTS``, ``CHAOS_KILLS`` and ``CHAOS_SEED`` make it longer or
repeat it, ``CHAOS_STORE=rocksdb`` keeps the state on disk.
"""

import os
import uuid
from collections import Counter
from copy import deepcopy

import pytest

from serving.model_card import model_repository, read_model_card, version_folder
from stream.configuration.settings import Configuration
from stream.contracts import codec as messages
from stream.contracts import topics
from stream.decisions.deployment import Deployment
from stream.embedded.kafka import EmbeddedKafka
from stream.testing.topics import Topics
from tests.chaos.checker import OUTPUTS, ROLES, Reading, compare, expect
from tests.chaos.oracle import Expected
from tests.chaos.read_back import Record, flat
from tests.chaos.run import Run, run

EVENTS = int(os.environ.get("CHAOS_EVENTS", "20000"))
KILLS = int(os.environ.get("CHAOS_KILLS", "10"))
SEED = int(os.environ.get("CHAOS_SEED", str(uuid.uuid4().int % 1_000_000)))
STORE = os.environ.get("CHAOS_STORE", "memory")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240 + EVENTS // 200)]


@pytest.fixture(scope="module")
def ran(embedded_kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Run:
    print(f"\nseed {SEED}")
    folder = tmp_path_factory.mktemp("chaos")
    print(f"logs in {folder}")
    with Topics(embedded_kafka.bootstrap_servers, label="chaos") as own:
        return run(embedded_kafka.bootstrap_servers, folder, own.prefix, EVENTS, KILLS, SEED, STORE)


def expected_of(reading: Reading, configuration: Configuration) -> dict[str, list[Expected]]:
    card = read_model_card(version_folder(model_repository(), configuration.triton.model))
    deployment = Deployment(
        secret=configuration.deployment.secret.encode(),
        source=configuration.deployment.source,
        partitions=configuration.topics.partitions,
    )
    return expect(reading, configuration, configuration.policies.in_force(card), deployment)


@pytest.fixture(scope="module")
def expected(ran: Run) -> dict[str, list[Expected]]:
    return expected_of(ran.reading, ran.configuration)


def test_every_effect_of_every_event_is_there_once_whatever_is_killed(
    ran: Run, expected: dict[str, list[Expected]]
) -> None:
    verdict = compare(ran.reading, expected)
    statuses = Counter(
        messages.decode_alert_event(record.value or b"").data.status
        for topic in (topics.ALERTS, topics.ALERTS_HOLDOUT)
        for record in flat(ran.reading.topics[topic])
    )
    print(", ".join(f"{len(list(flat(records)))} {topic}" for topic, records in ran.reading.topics.items()))
    print(f"alerts: {dict(statuses)}; records that were aborted: {ran.aborted}")
    print(verdict.report(ran.faults))
    assert verdict.right
    # What was compared is worth comparing.
    assert verdict.events >= EVENTS * 0.95
    assert all(any(ran.reading.topics[topic]) for topic in (*OUTPUTS, topics.DEAD_LETTERS))
    assert statuses.keys() == {"raised", "updated", "resolved", "expired", "corrected"}
    assert ran.aborted > 0


@pytest.mark.parametrize("topic", [*OUTPUTS, topics.SCORE_REQUESTS, topics.DEAD_LETTERS])
def test_checker_sees_one_record_that_is_lost_or_doubled(
    ran: Run, expected: dict[str, list[Expected]], topic: str
) -> None:
    records = ran.reading.topics[topic]
    short = compare(ran.reading._replace(topics=ran.reading.topics | {topic: _drop(records)}), expected)
    assert (len(short.lost), len(short.twice)) == (1, 0)
    doubled = compare(ran.reading._replace(topics=ran.reading.topics | {topic: _double(records)}), expected)
    assert (len(doubled.lost), len(doubled.twice)) == (0, 1)


def test_checker_misses_an_answer_that_is_not_on_record(ran: Run) -> None:
    scores = _drop(ran.reading.topics[topics.SCORES])
    reading = ran.reading._replace(topics=ran.reading.topics | {topics.SCORES: scores})
    assert compare(reading, expected_of(reading, ran.configuration)).lost


@pytest.mark.parametrize("role", ROLES)
def test_checker_sees_one_state_that_is_wrong(ran: Run, expected: dict[str, list[Expected]], role: str) -> None:
    changelogs = deepcopy(ran.reading.changelogs)
    states = next(states for states in changelogs[role].states.values() if states)
    key = next(iter(states))
    states[key] = states[key][:-1]
    assert len(compare(ran.reading._replace(changelogs=changelogs), expected).wrong_states) == 1


def test_checker_sees_an_offset_that_is_not_the_states(ran: Run, expected: dict[str, list[Expected]]) -> None:
    offsets = {role: [offset + 1 for offset in offsets] for role, offsets in ran.reading.offsets.items()}
    assert compare(ran.reading._replace(offsets=offsets), expected).wrong_states


def _drop(partitions: list[list[Record]]) -> list[list[Record]]:
    changed = [list(records) for records in partitions]
    longest = max(changed, key=len)
    del longest[len(longest) // 2]
    return changed


def _double(partitions: list[list[Record]]) -> list[list[Record]]:
    changed = [list(records) for records in partitions]
    longest = max(changed, key=len)
    longest.insert(len(longest) // 2, longest[len(longest) // 2])
    return changed

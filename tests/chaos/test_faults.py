"""A dozen faults of many kinds in half a minute: every effect is there, once.

The promise of the whole project in one test: a known log, faults from a seed, and a checker that reads
everything back and knows nothing of the engine. ``CHAOS_SEED`` repeats it; ``make chaos`` has all kinds, for as long as
it is told.
"""

import os
from collections import Counter
from copy import deepcopy

import pytest

from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.topics import FILLER_KEY
from stream.embedded.kafka import EmbeddedKafka
from stream.testing.topics import Topics
from tests.chaos.checker import OUTPUTS, ROLES, compare
from tests.chaos.expectations import expected_of
from tests.chaos.oracle import Expected
from tests.chaos.read_back import Record, flat
from tests.chaos.report import complaints
from tests.chaos.run import Run, Setting, run
from tests.chaos.schedule import short

SEED = int(os.environ.get("CHAOS_SEED", "714700"))
"""The same faults in every run, so that a failure is of what was changed; ``make chaos`` draws others."""
FAULTS = 10
PACE = 500.0
FEWEST = 5_000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def ran(embedded_kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("chaos")
    print(f"\nseed {SEED}, logs in {folder}")
    with Topics(embedded_kafka.bootstrap_servers, label="chaos") as own:
        setting = Setting(folder, own.prefix, embedded_kafka.bootstrap_servers)
        return run(setting, SEED, PACE, lambda scene: short(scene, SEED, FAULTS))


@pytest.fixture(scope="module")
def expected(ran: Run) -> dict[str, list[Expected]]:
    return expected_of(ran.reading, ran.configuration)


def test_every_effect_of_every_event_is_there_once_whatever_happens(
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
    print(verdict.report(len(ran.struck)))
    assert verdict.right
    assert complaints(ran, verdict) == []
    # What was compared is worth comparing.
    assert verdict.events >= FEWEST
    assert all(any(ran.reading.topics[topic]) for topic in (*OUTPUTS, topics.DEAD_LETTERS))
    assert statuses.keys() == {"raised", "updated", "resolved", "expired", "corrected"}


@pytest.mark.parametrize("topic", [*OUTPUTS, topics.SCORE_REQUESTS, topics.DEAD_LETTERS])
def test_checker_sees_one_record_that_is_lost_or_doubled(
    ran: Run, expected: dict[str, list[Expected]], topic: str
) -> None:
    # Fillers say nothing: the checker passes them over.
    records = [[each for each in records if each.key != FILLER_KEY] for records in ran.reading.topics[topic]]
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

"""Compares everything that was committed with the oracle, and counts what is lost, there twice, or wrong.

A message is its topic, partition, key, value and headers: a changed one counts as lost and as one too many. Messages of
one key have to be in order. Called by the tests with what ``read_everything`` found.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from stream.configuration.settings import Configuration
from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.dead_letters import read_verdict
from stream.contracts.emission import Output
from stream.contracts.partitioning import partition_for
from stream.contracts.scores import Answer
from stream.contracts.topics import FILLER_KEY
from stream.decisions.deployment import Deployment
from stream.decisions.policies import PoliciesInForce
from tests.chaos import oracle
from tests.chaos.read_back import (
    Changelog,
    Headers,
    Record,
    committed_offsets,
    flat,
    group_reader,
    read_changelog,
    read_topic,
)

OUTPUTS: Final = (
    topics.SCORES,
    topics.PREDICTIONS,
    topics.ALERTS,
    topics.ALERTS_OPEN,
    topics.ALERTS_HOLDOUT,
    topics.RECOMMENDATIONS,
    topics.ERASED,
)
ROLES: Final = ("profiles", "decisions")
_INPUT: Final = {"profiles": topics.EVENTS, "decisions": topics.SCORE_REQUESTS}
_SHOWN: Final = 5

Message = tuple[str, int, bytes, bytes | None, Headers]
"""Topic, partition, key, value, headers."""


class Reading(NamedTuple):
    """Everything that was committed, by logical topic and by role."""

    topics: dict[str, list[list[Record]]]
    changelogs: dict[str, Changelog]
    offsets: dict[str, list[int]]


class Verdict(NamedTuple):
    """What is wrong, one line each; nothing where nothing is."""

    events: int
    lost: list[str]
    twice: list[str]
    wrong_states: list[str]

    @property
    def right(self) -> bool:
        return not (self.lost or self.twice or self.wrong_states)

    def report(self, faults: int) -> str:
        """Some lines of each kind, and the figures as the last line."""
        kinds = (("lost", self.lost), ("twice", self.twice), ("wrong", self.wrong_states))
        lines = [f"{kind}: {line}" for kind, found in kinds for line in found[:_SHOWN]]
        return "\n".join([*lines, self.figures(faults)])

    def figures(self, faults: int) -> str:
        """One line."""
        return (
            f"faults {faults}, events {self.events}, lost {len(self.lost)}, twice {len(self.twice)}, "
            f"wrong states {len(self.wrong_states)}"
        )


def read_everything(configuration: Configuration) -> Reading:
    """What readers of committed records see, after the workers have stopped."""
    servers, names = configuration.kafka.bootstrap_servers, configuration.topics.topic_names()
    logical = (topics.EVENTS, topics.SCORE_REQUESTS, topics.DEAD_LETTERS, *OUTPUTS)
    partitions = configuration.topics.partitions
    return Reading(
        topics={topic: read_topic(servers, names.physical(topic)) for topic in logical},
        changelogs={role: read_changelog(servers, names.changelog(role)) for role in ROLES},
        offsets={
            role: committed_offsets(group_reader(servers, names.group(role)), names.physical(_INPUT[role]), partitions)
            for role in ROLES
        },
    )


def expect(
    reading: Reading, configuration: Configuration, policies: PoliciesInForce, deployment: Deployment
) -> dict[str, list[oracle.Expected]]:
    """What each partition's log must have led to, by role."""
    names, partitions = configuration.topics.topic_names(), configuration.topics.partitions
    # By place, not by id: a customer who was erased and comes back can be asked about once more for the same reason and
    # moment, and the second question has the first one's id.
    answers: dict[tuple[int, int], Answer] = {}
    for record in flat(reading.topics[topics.SCORES]):
        score = messages.decode_score(record.value or b"")
        answers.setdefault((score.request_partition, score.request_offset), score.answer)
    events, requests = names.physical(topics.EVENTS), names.physical(topics.SCORE_REQUESTS)
    return {
        "profiles": [
            oracle.fold_events(events, records, until, partitions, configuration.profiles)
            for records, until in zip(reading.topics[topics.EVENTS], reading.offsets["profiles"], strict=True)
        ],
        "decisions": [
            oracle.fold_requests(requests, records, until, answers, policies, deployment)
            for records, until in zip(reading.topics[topics.SCORE_REQUESTS], reading.offsets["decisions"], strict=True)
        ],
    }


def compare(reading: Reading, expected: dict[str, list[oracle.Expected]]) -> Verdict:
    """What of ``expected`` is not there, and what is there that was not expected."""
    folded = zip(reading.topics[topics.EVENTS], reading.offsets["profiles"], strict=True)
    verdict = Verdict(sum(record.offset < until for records, until in folded for record in records), [], [], [])
    folds = [(role, partition, fold) for role in ROLES for partition, fold in enumerate(expected[role])]
    partitions = len(reading.topics[topics.EVENTS])
    wanted = [message for _, partition, fold in folds for message in _messages(fold.outputs, partition, partitions)]
    _compare_messages(wanted, list(_found(reading)), verdict)
    _compare_dead_letters(reading, [fold for _, _, fold in folds], verdict)
    for role, partition, fold in folds:
        _compare_states(role, partition, fold, reading, verdict)
    return verdict


def _messages(outputs: Sequence[Output], partition: int, partitions: int) -> Iterator[Message]:
    for topic, key, value, headers in outputs:
        # Ticks have no key; all else lies where its key belongs.
        lies_on = partition_for(key, partitions) if key else partition
        yield topic, lies_on, key, value, tuple(headers)


def _found(reading: Reading) -> Iterator[Message]:
    for topic in (topics.SCORE_REQUESTS, *OUTPUTS):
        for record in flat(reading.topics[topic]):
            # Fillers say nothing, and the oracle knows of none.
            if record.key != FILLER_KEY and not any(name == oracle.MODEL_BACK for name, _ in record.headers):
                yield topic, record.partition, record.key or b"", record.value, record.headers


def _compare_messages(wanted: list[Message], found: list[Message], verdict: Verdict) -> None:
    missing = Counter(wanted) - Counter(found)
    surplus = Counter(found) - Counter(wanted)
    verdict.lost.extend(_named(message) for message in missing.elements())
    verdict.twice.extend(_named(message) for message in surplus.elements())
    if not missing and not surplus:
        was, should = _sequences(found), _sequences(wanted)
        verdict.wrong_states.extend(f"order of {series}" for series in should if was[series] != should[series])


def _sequences(found: Sequence[Message]) -> dict[tuple[str, bytes, bool], list[Message]]:
    """Messages of one key, in order. Questions that were put again have another writer than the first ones."""
    series: dict[tuple[str, bytes, bool], list[Message]] = {}
    for message in found:
        topic, _, key, value, _ = message
        again = topic == topics.SCORE_REQUESTS and b'"trigger":"retry"' in (value or b"")
        series.setdefault((topic, key, again), []).append(message)
    return series


def _named(message: Message) -> str:
    topic, partition, key, value, _ = message
    text = {} if value is None else msgspec.json.decode(value)
    name = next((text[field] for field in ("id", "recommendation_id", "request_id", "alert_id") if field in text), "")
    return f"{topic}[{partition}] key {key.decode(errors='replace')} id {name or text.get('as_of', 'null')}"


def _compare_dead_letters(reading: Reading, folds: Sequence[oracle.Expected], verdict: Verdict) -> None:
    wanted = Counter(
        (dead.origin, dead.code, dead.record.key, dead.record.value) for fold in folds for dead in fold.refused
    )
    letters = ((record, read_verdict(record.headers)) for record in flat(reading.topics[topics.DEAD_LETTERS]))
    found = Counter((letter.origin, letter.code, record.key, record.value) for record, letter in letters)
    verdict.lost.extend(f"dead letter {origin} {code}" for origin, code, _, _ in (wanted - found).elements())
    verdict.twice.extend(f"dead letter {origin} {code}" for origin, code, _, _ in (found - wanted).elements())


def _compare_states(role: str, partition: int, fold: oracle.Expected, reading: Reading, verdict: Verdict) -> None:
    changelog = reading.changelogs[role]
    states, dues = changelog.states.get(partition, {}), changelog.dues.get(partition, {})
    for key in sorted(states.keys() | fold.states.keys()):
        if states.get(key) != fold.states.get(key) or dues.get(key) != fold.dues.get(key):
            verdict.wrong_states.append(f"{role}[{partition}] {key.decode(errors='replace')}")
    position, until = changelog.positions.get(partition), reading.offsets[role][partition]
    if position is None:
        if until:
            verdict.wrong_states.append(f"{role}[{partition}] has no position, and offset {until} is committed")
        return
    shared = int.from_bytes(position.shared) if role == "profiles" else msgspec.msgpack.decode(position.shared)
    if (position.offset, position.time, shared) != (until, fold.time, fold.shared):
        verdict.wrong_states.append(
            f"{role}[{partition}] is at {(position.offset, position.time, shared)}, "
            f"should be at {(until, fold.time, fold.shared)}"
        )

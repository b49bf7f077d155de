"""`tidemark erase` on a real broker that compacts within seconds: every topic is read back from its beginning, and no
fold of the log finds the customer again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from msgspec.structs import replace

from stream.configuration.clients import client_properties
from stream.configuration.load import load
from stream.configuration.repository import open_registry
from stream.configuration.settings import Configuration
from stream.contracts import topics as logical
from stream.contracts.codec import decode_alert_event, decode_erased_event, encode
from stream.contracts.scores import Answer, Candidate
from stream.contracts.topics import FILLER_KEY, TOPICS
from stream.decisions.deployment import Deployment
from stream.decisions.policy_history import PolicyHistory
from stream.operations.brokers import connect_admin, make_consumer, read_to_end
from stream.operations.dead_letters.filters import Filter
from stream.operations.dead_letters.fixes import Change
from stream.operations.dead_letters.redrive import Run, redrive
from stream.operations.erasing.naming import Naming
from stream.operations.erasing.report import survey
from stream.operations.history.explaining import explain
from stream.operations.history.states import state_at, state_now
from stream.operations.history.timeline import Happened
from stream.operations.history.verifying import verify
from stream.operations.promotion import in_force
from stream.operations.replays.begin import Wanted, begin
from stream.operations.replays.record import ids, prefix_of
from stream.operations.replays.run import Run as ReplayRun
from stream.operations.retrain_window import from_log
from stream.operations.topics import STATEFUL_ROLES, create_topics
from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from stream.workers.decisions import DecisionsProcessor, Question
from stream.workers.erased import read_erasures
from stream.workers.policies import RegisteredPolicies
from stream.workers.process import VERSION
from stream.workers.profiles import ProfilesProcessor
from tests.integration.operations.test_explain import ANN, BOB, PARTITIONS, Canned, event
from tests.integration.operations.work import command, working

QUICK: dict[str, str | None] = {
    "segment.ms": "50",
    "max.compaction.lag.ms": "1",
    "delete.retention.ms": "1",
    "min.cleanable.dirty.ratio": "0.01",
}
LAST_DAY = 101
REASON = "request 7"


class Listing(Canned):
    """Recommends something, too."""

    async def run(self, batch: Sequence[Question]) -> list[Answer]:
        shelf = [Candidate(f"item-{number}", 1.0 / (1 + number), "model") for number in range(12)]
        return [replace(answer, candidates=shelf) for answer in await super().run(batch)]


@pytest.fixture
def environ(topics: Topics) -> dict[str, str]:
    return {
        "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": topics.bootstrap_servers,
        "TIDEMARK__TOPICS__PREFIX": topics.prefix,
        "TIDEMARK__TOPICS__PARTITIONS": str(PARTITIONS),
        "TIDEMARK__POLICIES__HOLDOUT_SHARE": "0.0",
    }


@pytest.fixture
def compacting(lived: Configuration) -> Iterator[Configuration]:
    """The same, where topics of what is known now are cleaned as soon as Kafka can."""
    admin = AdminClient(client_properties(lived.kafka))
    for topic in compacted(lived):
        alter(admin, ResourceType.TOPIC, topic, QUICK)
    alter(admin, ResourceType.BROKER, "1", {"log.cleaner.backoff.ms": "100"})
    yield lived
    alter(admin, ResourceType.BROKER, "1", {"log.cleaner.backoff.ms": None})


def alter(admin: AdminClient, kind: ResourceType, name: str, settings: dict[str, str | None]) -> None:
    entries = [
        ConfigEntry(
            setting,
            value,
            incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET,
        )
        for setting, value in settings.items()
    ]
    resource = ConfigResource(kind, name, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(10)


def compacted(deployment: Configuration) -> list[str]:
    names = deployment.topics.topic_names()
    own = [logical.PREDICTIONS, logical.RECOMMENDATIONS, logical.ALERTS_OPEN]
    return [*map(names.physical, own), *map(names.changelog, STATEFUL_ROLES)]


@contextmanager
def roles(deployment: Configuration) -> Iterator[None]:
    """Both roles have worked off what is there, and run until the block ends."""
    names, kafka = deployment.topics.topic_names(), client_properties(deployment.kafka)
    own = deployment.deployment.secret
    profiles = ProfilesProcessor(
        names, deployment.profiles, PARTITIONS, VERSION, read_erasures(kafka, names, own, "profiles")
    )
    registry = open_registry(deployment)
    rollout = in_force(deployment, registry)
    policies = RegisteredPolicies(registry, lambda: PolicyHistory(deployment.policies), lambda: rollout)
    secret = Deployment(secret=own.encode(), partitions=PARTITIONS)
    decisions = DecisionsProcessor(names, policies, secret, Listing(), read_erasures(kafka, names, own, "decisions"))
    with working(deployment, profiles), working(deployment, decisions):
        yield


@pytest.fixture
def lived(deployment: Configuration, topics: Topics) -> Configuration:
    """Ann has history in every topic, an alert that is open and a dead letter."""
    refused = encode(event(ANN, "purchase", 70)).replace(b'"price":2.5', b'"price":-2.5')
    log = [event(ANN, "purchase", day) for day in (0, 20, 40, 60)] + [event(BOB, "browse", LAST_DAY)]
    events = deployment.topics.topic_names().physical(logical.EVENTS)
    topics.produce(events, [(one.customer_id, encode(one)) for one in log] + [(ANN, refused)], partition=1)
    return deployment


def read_back(deployment: Configuration, *names: str) -> dict[str, list[bytes | None]]:
    """What topics hold from their beginning to their end: the values of Ann's records, by topic."""
    naming, found = Naming(ANN), dict[str, list[bytes | None]]((name, []) for name in names)
    for message in messages(deployment, *names):
        if naming(message.key(), message.value()):
            found[message.topic() or ""].append(message.value())
    return found


def messages(deployment: Configuration, *names: str) -> list[Message]:
    consumer = make_consumer(deployment.kafka, "tidemark.test", **{"fetch.wait.max.ms": 20})
    try:
        return list(read_to_end(consumer, connect_admin(deployment.kafka), names))
    finally:
        consumer.close()


def test_nothing_is_left_of_an_erased_customer_but_what_the_report_lists(
    compacting: Configuration,
    topics: Topics,
    environ: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lived = compacting
    names = lived.topics.topic_names()
    events = names.physical(logical.EVENTS)
    with roles(lived):
        code, out = command(["erase", ANN], environ, capsys)
        assert (code, "not erased" in out, "nothing was changed" in out) == (0, True, True)
        assert max(map(len, out.splitlines())) <= 80
        assert all(read_back(lived, *compacted(lived)).values())
        assert command(["erase", ANN, "--check"], environ, capsys)[0] == 5
        begin(lived, "what-if", Wanted(customer=ANN))

        written = tmp_path / "report.json"
        given = ["erase", ANN, "--apply", "--reason", REASON, "--report", str(written)]
        code, out = command(given, environ, capsys)
        print(out)
        assert code == 0
        assert "dropped: replay what-if" in out
        assert max(map(len, out.splitlines())) <= 80
        assert ids(lived, connect_admin(lived.kafka)) == []
        report = json.loads(written.read_text())
        assert [each["role"] for each in report["erasures"]] == ["profiles", "decisions"]
        assert report["erasures"][0]["reason"] == REASON
        (news,) = messages(lived, names.physical(logical.ERASED))
        assert decode_erased_event(news.value() or b"").subject == ANN
        alerts = [
            decode_alert_event(each.value() or b"").data for each in messages(lived, names.physical(logical.ALERTS))
        ]
        assert [(each.status, each.resolve_reason) for each in alerts][-1] == ("resolved", "erased")

        # Only Bob is heard of; the fillers close the segments of the outputs, in which nothing else is written.
        days = count(LAST_DAY + 1)

        def cleaned() -> bool:
            bob = event(BOB, "browse", next(days))
            topics.produce(events, [(BOB, encode(bob))], partition=1)
            time.sleep(0.2)
            return not any(read_back(lived, *compacted(lived)).values())

        assert eventually(cleaned)
        outputs = compacted(lived)[:3]
        assert {each.topic() for each in messages(lived, *outputs) if each.key() == FILLER_KEY} == {*outputs}
        code, out = command(["erase", ANN, "--check", "--json"], environ, capsys)
        assert code == 0
        found = {each["topic"]: each for each in json.loads(out)["topics"]}
        there = read_back(lived, *map(names.physical, TOPICS))
        for name, spec in TOPICS.items():
            held, left = found[names.physical(name)], there[names.physical(name)]
            assert held["values"] == (0 if spec.cleanup_policy == "compact" else len(left)), name
            assert (held["values_go_by"] is None) == (held["values"] == 0), name

        nobody_knows_her(lived)
        topics.produce(events, [(ANN, encode(event(ANN, "browse", 400)))], partition=1)
        assert eventually(lambda: state_now(lived, ANN).profile is not None)
        profile = state_now(lived, ANN).profile or {}
        assert (profile.get("browses"), profile.get("purchases", 0)) == (1, 0)
        assert command(["erase", ANN, "--check"], environ, capsys)[0] == 0


def nobody_knows_her(lived: Configuration) -> None:
    """Not who asks for the state, nor who folds the log again, trains on it, or puts letters back."""
    assert state_now(lived, ANN).profile is None
    erased = survey(lived, ANN).erasures[0]
    assert state_at(lived, ANN, erased.offset - 1).profile is None
    (told,) = explain(lived, ANN).entries
    assert isinstance(told, Happened)
    assert told.type == "erase"
    assert verify(lived).passed
    assert {each.type for each in from_log(lived) if each is not None and each.customer_id == ANN} == {"erase"}
    tried = redrive(lived, Filter(), Change("", ["items[0].price=abs(@)"], False), Run(apply=False))
    assert [group.code for group in tried.left] == ["erased"]

    ReplayRun(lived, begin(lived, "again", Wanted()), lambda *_: None).work()
    prefix = prefix_of(lived, "again")
    bases = ("scores", "alerts", "dead-letters", "predictions")
    # A null alone, by the fold of the erasure itself.
    assert [*read_back(lived, *(f"{prefix}customer.{base}.v1" for base in bases)).values()] == [[], [], [], [None]]


def test_a_worker_without_state_and_changelog_does_not_find_an_erased_customer(
    lived: Configuration, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    names = lived.topics.topic_names()
    with roles(lived):
        assert command(["erase", ANN, "--apply"], environ, capsys)[0] == 0
    again = f"{lived.topics.prefix}second."
    shared = {name: names.physical(name) for name in (logical.EVENTS, logical.CATALOGUE, logical.ERASURES)}
    second = load(
        None, environ | {"TIDEMARK__TOPICS__PREFIX": again, "TIDEMARK__TOPICS__NAMES": json.dumps(shared)}
    ).configuration
    create_topics(connect_admin(second.kafka), second.topics)
    with roles(second):
        anew = second.topics.topic_names()
        assert state_now(second, BOB).profile is not None
        kept = map(anew.physical, (logical.SCORES, logical.ALERTS, logical.DEAD_LETTERS))
        assert not any(value for values in read_back(second, *kept, *compacted(second)).values() for value in values)


def test_a_command_that_was_killed_goes_on_and_erases_once(
    lived: Configuration, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    events = lived.topics.topic_names().physical(logical.EVENTS)

    def erasures() -> int:
        return sum(b'"erase"' in (each.value() or b"") for each in messages(lived, events))

    given = [sys.executable, "-m", "stream.cli", "erase", ANN, "--apply"]
    killed = subprocess.Popen(given, env={**os.environ, **environ}, stdout=subprocess.DEVNULL)
    try:
        assert eventually(lambda: erasures() == 1)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait(10)
    assert command(["erase", ANN, "--apply", "--wait", "0"], environ, capsys)[0] == 3
    with roles(lived):
        assert command(["erase", ANN, "--apply"], environ, capsys)[0] == 0
        assert command(["erase", ANN, "--apply"], environ, capsys)[0] == 0
    assert erasures() == 1

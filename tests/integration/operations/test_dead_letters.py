"""The commands on dead letters against a real broker: a try writes nothing, and nobody puts a letter back twice."""

import signal
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from stream.configuration.settings import Configuration
from stream.contracts import topics as logical
from stream.contracts.emission import DeadLetterCode
from stream.operations.brokers import connect_admin, make_consumer, make_producer, read_to_end
from stream.operations.dead_letters.filters import Filter
from stream.operations.dead_letters.fixes import Change
from stream.operations.dead_letters.letters import Place
from stream.operations.dead_letters.redrive import Run, discard, redrive
from stream.operations.dead_letters.settling import TRANSACTIONAL_ID, SettlingStopped
from stream.operations.dead_letters.survey import LetterNotFound, Survey
from stream.operations.status import status
from stream.operations.topics import create_topics
from stream.testing.topics import Topics
from tests.integration.bad_input.shop import Sent, encoded, event, milliseconds
from tests.integration.operations.refused import start, write_letters
from tests.integration.operations.test_redrive_killed import Watched

APPLY, TRY = Run(apply=True, actor="ada"), Run(apply=False)
SECONDS = milliseconds() // 1000
MEND = Change(expressions=["time=@*1000"])
"""What mends an event whose time is in seconds."""


def in_seconds(number: int, **fields: object) -> Sent:
    return Sent(b"ada", encoded(event("ada", str(number), time=SECONDS, **fields)))


def events(configuration: Configuration) -> list[str]:
    """Ids of the events that are committed."""
    consumer = make_consumer(configuration.kafka, "test")
    topic = configuration.topics.topic_names().physical(logical.EVENTS)
    try:
        found = read_to_end(consumer, connect_admin(configuration.kafka), [topic])
        return [str(msgspec.json.decode(message.value() or b"")["event_id"]) for message in found]
    finally:
        consumer.close()


def states(configuration: Configuration) -> dict[str, int]:
    with Survey(configuration) as survey:
        return survey.listed(Filter()).states


def test_a_try_says_how_many_would_be_accepted_and_writes_nothing(deployment: Configuration) -> None:
    write_letters(deployment, [in_seconds(1), in_seconds(2, type="buy"), Sent(b"ada", b"{")])
    done = redrive(deployment, Filter(), MEND, TRY)
    assert (done.accepted, {group.code: group.letters for group in done.left}) == (
        1,
        {"fix_failed": 1, "unknown_type": 1},
    )
    assert discard(deployment, Filter(), "test", TRY).accepted == 3
    assert (events(deployment), states(deployment)) == ([], {"open": 3})


def test_what_cannot_be_mended_stays_open_and_what_was_settled_is_left_alone(deployment: Configuration) -> None:
    write_letters(deployment, [in_seconds(1), in_seconds(2, type="buy"), Sent(b"ada", b"{")])
    assert redrive(deployment, Filter(), MEND, APPLY).accepted == 1
    assert redrive(deployment, Filter(), MEND, APPLY).accepted == 0
    both = frozenset({Place(0, 0), Place(0, 2)})
    thrown = discard(deployment, Filter(places=both), "not ours", APPLY)
    assert (thrown.accepted, thrown.not_open) == (1, 1)
    assert states(deployment) == {"redriven": 1, "open": 1, "discarded": 1}
    assert events(deployment) == ["ada-1"]
    assert status(deployment, connect_admin(deployment.kafka), milliseconds()).dead_letters == {"out_of_range": 1}
    with Survey(deployment) as survey:
        _, settlement = survey.letter(Place(0, 2))
        assert settlement is not None
        assert (settlement.outcome, settlement.reason, settlement.actor) == ("discarded", "not ours", "ada")
        assert survey.letter(Place(0, 1))[1] is None
        with pytest.raises(LetterNotFound, match="0:3"):
            survey.letter(Place(0, 3))


@pytest.mark.parametrize("code", ["fold_error", "quarantined"])
def test_letters_whose_cause_nobody_can_see_are_put_back_when_they_are_named(
    deployment: Configuration, code: DeadLetterCode
) -> None:
    write_letters(deployment, [Sent(b"ada", encoded(event("ada", "1")))], code)
    assert redrive(deployment, Filter(), Change(), APPLY).accepted == 0
    assert redrive(deployment, Filter(codes=(code,)), Change(), APPLY).accepted == 1


def test_letters_of_a_topic_that_was_made_anew_are_open(deployment: Configuration, topics: Topics) -> None:
    write_letters(deployment, [in_seconds(1)])
    assert redrive(deployment, Filter(), MEND, APPLY).accepted == 1
    letters = deployment.topics.topic_names().physical(logical.DEAD_LETTERS)
    topics.delete(letters)
    deadline = time.monotonic() + 20
    while letters in connect_admin(deployment.kafka).list_topics(timeout=10).topics:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    create_topics(connect_admin(deployment.kafka), deployment.topics)
    write_letters(deployment, [in_seconds(2)])
    assert states(deployment) == {"open": 1}


@pytest.mark.parametrize("topic", [logical.SETTLEMENTS, logical.EVENTS])
def test_a_letter_is_put_back_and_settled_or_neither(deployment: Configuration, topic: str) -> None:
    write_letters(deployment, [in_seconds(1)])
    name = deployment.topics.topic_names().physical(topic)
    take_none = ConfigEntry("max.message.bytes", "10", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[take_none])
    admin = connect_admin(deployment.kafka)
    admin.incremental_alter_configs([resource])[resource].result(10)
    with pytest.raises(SettlingStopped, match="Kafka refused after 0 letters"):
        redrive(deployment, Filter(), MEND, APPLY)
    assert (events(deployment), states(deployment)) == ([], {"open": 1})


def test_a_command_that_stood_still_while_another_finished_sends_nothing_more(
    deployment: Configuration, environ: dict[str, str], tmp_path: Path
) -> None:
    write_letters(deployment, [in_seconds(number) for number in range(1_500)])
    settled = Watched(deployment, logical.SETTLEMENTS)
    first = start(environ, tmp_path, "redrive", "--set", "time=@*1000", "--apply")
    try:
        while not settled.new():
            assert first.poll() is None, first.communicate()
        first.send_signal(signal.SIGSTOP)
        redrive(deployment, Filter(), MEND, APPLY)
        first.send_signal(signal.SIGCONT)
        _, said = first.communicate(timeout=30)
    finally:
        first.kill()
        first.communicate()
    # It may have been through before it was stopped.
    assert first.returncode in (0, 3), said
    assert first.returncode == 0 or "no letter is settled twice" in said
    assert Counter(events(deployment)) == Counter(f"ada-{number}" for number in range(1_500))
    assert states(deployment) == {"redriven": 1_500}


def test_what_a_killed_command_left_open_is_ended_and_never_seen(deployment: Configuration) -> None:
    write_letters(deployment, [in_seconds(1)])
    names = deployment.topics.topic_names()
    killed = make_producer(deployment.kafka, **{"transactional.id": f"{names.prefix}{TRANSACTIONAL_ID}"})
    killed.init_transactions(10)
    killed.begin_transaction()
    killed.produce(names.physical(logical.EVENTS), in_seconds(1).value, b"ada")
    killed.produce(names.physical(logical.SETTLEMENTS), b"{}", b"half:0:0")
    assert killed.flush(10) == 0
    assert states(deployment) == {"open": 1}, "a list does not wait for it"
    assert redrive(deployment, Filter(), MEND, APPLY).accepted == 1
    assert events(deployment) == ["ada-1"]


def test_letters_are_exported_mended_by_hand_and_put_back(
    deployment: Configuration, environ: dict[str, str], tmp_path: Path
) -> None:
    write_letters(deployment, [in_seconds(1), Sent(b"\xff", b"\x00\xff", [("x", b"\xfe")])])

    def run(*arguments: str) -> str:
        process = start(environ, tmp_path, *arguments)
        said, wrong = process.communicate(timeout=30)
        assert process.returncode == 0, wrong
        return said

    run("export", "--to", "letters.jsonl")
    shown = run("edit", "0:0", "--set", "time=@*1000", "--to", "one.jsonl")
    assert f'-  "time": {SECONDS},' in shown
    assert "validation accepts it now" in shown
    lines = (tmp_path / "letters.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line)["letter"] for line in lines] == ["0:0", "0:1"]
    mended = msgspec.json.decode(lines[1]) | {"key": "ada", "value": msgspec.json.decode(encoded(event("ada", "2")))}
    del mended["value_text"]
    (tmp_path / "letters.jsonl").write_bytes(lines[0] + b"\n" + msgspec.json.encode(mended) + b"\n")
    assert "1 letter re-driven" in run("redrive", "--from", "letters.jsonl", "--apply")
    assert "1 letter re-driven" in run("redrive", "--from", "one.jsonl", "--apply")
    assert events(deployment) == ["ada-2", "ada-1"]
    assert "0 letters would be re-driven\n1 of the letters named are not open" in run("redrive", "--from", "one.jsonl")
    assert "redriven" in run("show", "0:0")
    assert msgspec.json.decode(run("list", "--state", "any", "--json"))["states"] == {"redriven": 2}

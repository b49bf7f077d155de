"""Workers of an older and of a newer build fold the same customers, and nothing is lost, there twice or wrong.

The newer one has added a field to ``Profile``, which it fills. Two workers of profiles go to it, one after the other,
while events come, and back again; of the decisions, which read the profiles of both, one worker is of each build. One
with another fold is refused before it disturbs them.
"""

import time
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

from stream.cli.exits import Exit
from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.dead_letters import read_verdict
from stream.contracts.emission import Output
from stream.embedded.kafka import EmbeddedKafka
from stream.profiles.profile import Profile
from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from tests.chaos.builds import ADDED_FIELD, CHANGED_FOLD, build
from tests.chaos.checker import ROLES, Reading, compare, read_everything
from tests.chaos.crew import ROOT, Crew, Member
from tests.chaos.deployment import configuration_text, create
from tests.chaos.expectations import expected_of
from tests.chaos.input_log import chapters
from tests.chaos.oracle import Expected
from tests.chaos.read_back import Changelog, Record, flat, read_changelog
from tests.chaos.run import await_catching_up
from tests.chaos.writer import Feed, Writer

SEED: Final = 5
PACE: Final = 2_000.0
CUSTOMERS: Final = 2_000
NOTED: Final = 500
"""Customers in whose profiles the newer build has to have filled its field before it is taken back."""
FOLDED_AGAIN: Final = 100
"""Of them, customers of whom the older build has to fold events afterwards."""
FIELDS: Final = len(Profile.__struct_fields__)
_LAST_TIME: Final = Profile.__struct_fields__.index("last_time")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Upgraded(NamedTuple):
    """What a roll-out and its way back left.

    Attributes:
        newest: the changelog of profiles while all workers were of the newer build.
        refused: the end of the log of the worker with another fold.
        disturbed: whether the others had a rebalance meanwhile.
        status: with which that worker ended.
        pace: events that were written a second.
    """

    configuration: Configuration
    reading: Reading
    newest: Changelog
    refused: str
    disturbed: bool
    status: int
    pace: float


@pytest.fixture(scope="module")
def upgraded(embedded_kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Upgraded:
    folder, servers = tmp_path_factory.mktemp("upgrade"), embedded_kafka.bootstrap_servers
    newer, another = build(folder / "newer", ADDED_FIELD), build(folder / "another", CHANGED_FOLD)
    with Topics(servers, label="upgrade") as own:
        kinds = {}
        for store in ("memory", "rocksdb"):
            kinds[store] = folder / f"{store}.toml"
            kinds[store].write_text(configuration_text(folder, servers, own.prefix, store=store))
        configuration = load(kinds["memory"], {}).configuration
        create(configuration)
        names = configuration.topics.topic_names()
        profiles, decisions = (
            [
                Member(role, f"{role}-{number}", config, folder, on_disk=number == 1)
                for number, config in enumerate(kinds.values())
            ]
            for role in ROLES
        )
        # One of each build, from the first event to the last.
        decisions[1].build = newer
        stranger = Member("profiles", "stranger", kinds["memory"], folder)
        stranger.build = another
        crew = Crew([*profiles, *decisions])
        writer = Writer(configuration, names.physical(topics.EVENTS))

        def newest() -> Changelog:
            return read_changelog(servers, names.changelog("profiles"))

        with crew:
            for member in crew.members:
                member.await_ready()
            began = time.monotonic()
            with Feed(writer, chapters(SEED, CUSTOMERS), PACE) as feed:
                assert eventually(lambda: len(newest().positions) == len(writer.ends)), "a partition has no state"
                before = [len(member.log.read_text()) for member in profiles]
                try:
                    stranger.start()
                    status = stranger.await_end()
                finally:
                    stranger.end()
                logs = [member.log.read_text()[start:] for member, start in zip(profiles, before, strict=True)]
                _roll(profiles, newer)
                assert eventually(lambda: len(_notes(newest())) >= NOTED), "the newer build does not fill its field"
                at_the_top = newest()
                _roll(profiles, ROOT)
                assert eventually(lambda: len(_folded_since(at_the_top, newest())) >= FOLDED_AGAIN)
                feed.end()
            pace = writer.written / (time.monotonic() - began)
            await_catching_up(configuration, writer.ends, crew)
        return Upgraded(
            configuration,
            read_everything(configuration),
            at_the_top,
            stranger.log_tail(),
            any('"assigned"' in log for log in logs),
            status,
            pace,
        )


def _roll(members: list[Member], to: Path) -> None:
    """Stop and start one after the other, as a roll-out does."""
    for member in members:
        member.stop()
        member.build = to
        member.start()
        member.await_ready()


def test_a_roll_out_and_its_way_back_lose_nothing_and_do_nothing_twice(upgraded: Upgraded) -> None:
    reading = upgraded.reading
    verdict = compare(
        reading._replace(
            topics=reading.topics | {topics.SCORE_REQUESTS: _known_requests(reading.topics[topics.SCORE_REQUESTS])},
            changelogs=reading.changelogs | {"profiles": _known_states(reading.changelogs["profiles"])},
        ),
        _known_outputs(expected_of(reading, upgraded.configuration)),
    )
    codes = {read_verdict(record.headers).code for record in flat(reading.topics[topics.DEAD_LETTERS])}
    print(f"{verdict.report(4)} at {upgraded.pace:.0f} events/s; dead letters: {', '.join(sorted(codes))}")
    assert verdict.right
    # What is bad in the log is refused by either build; neither refuses what the other one wrote.
    assert codes.isdisjoint({"quarantined", "fold_error"})


def test_what_the_newer_build_has_noted_survives_the_older_one(upgraded: Upgraded) -> None:
    last = upgraded.reading.changelogs["profiles"]
    kept = _notes(last)
    erased = {
        record.key
        for record in flat(upgraded.reading.topics[topics.EVENTS])
        if record.offset >= upgraded.newest.positions[record.partition].offset
        and b'"type":"erase"' in (record.value or b"")
    }
    again = {key: note for key, note in _folded_since(upgraded.newest, last).items() if key not in erased}
    assert len(again) >= FOLDED_AGAIN
    assert {key: kept.get(key) for key in again} == again


def test_a_build_with_another_fold_is_refused_and_disturbs_nobody(upgraded: Upgraded) -> None:
    assert upgraded.status == Exit.REFUSED
    assert "made by fold version 1 and this is version 2" in upgraded.refused
    assert "`tidemark rebuild`" in upgraded.refused
    assert not upgraded.disturbed


def _fields(state: bytes) -> list[msgspec.Raw]:
    """Of an encoded profile, whatever build has written it; its version comes before them."""
    fields: list[msgspec.Raw] = msgspec.msgpack.decode(state[1:], type=list[msgspec.Raw])
    return fields


def _known_part(state: bytes) -> bytes:
    """The profile as it is without the newer build's field."""
    return state and state[:1] + msgspec.msgpack.encode(_fields(state)[:FIELDS])


def _known_request(value: bytes | None) -> bytes:
    request = messages.decode_score_request(value or b"")
    request.profile = _known_part(request.profile)
    return messages.encode(request)


def _known_requests(partitions: list[list[Record]]) -> list[list[Record]]:
    return [[record._replace(value=_known_request(record.value)) for record in records] for records in partitions]


def _known_states(changelog: Changelog) -> Changelog:
    return changelog._replace(
        states={
            partition: {key: _known_part(state) for key, state in states.items()}
            for partition, states in changelog.states.items()
        }
    )


def _known_outputs(expected: dict[str, list[Expected]]) -> dict[str, list[Expected]]:
    """What decisions ask again holds a profile as it came."""

    def known(output: Output) -> Output:
        return output._replace(value=_known_request(output.value)) if output.topic == topics.SCORE_REQUESTS else output

    return {
        role: [fold._replace(outputs=[*map(known, fold.outputs)]) for fold in folds] for role, folds in expected.items()
    }


def _notes(changelog: Changelog) -> dict[bytes, int]:
    """What the newer build has noted, by customer."""
    states = ((key, _fields(state)) for states in changelog.states.values() for key, state in states.items())
    notes = {key: msgspec.msgpack.decode(fields[FIELDS]) for key, fields in states if len(fields) > FIELDS}
    return {key: note for key, note in notes.items() if note}


def _folded_since(before: Changelog, now: Changelog) -> dict[bytes, int]:
    """The notes that ``before`` has of customers with newer events in ``now``; visitors come and go by themselves."""

    def last_times(changelog: Changelog) -> dict[bytes, int]:
        return {
            key: msgspec.msgpack.decode(_fields(state)[_LAST_TIME])
            for states in changelog.states.values()
            for key, state in states.items()
            if not key.startswith(b"visitor-")
        }

    then, later = last_times(before), last_times(now)
    return {key: note for key, note in _notes(before).items() if later.get(key, 0) > then.get(key, 1 << 62)}

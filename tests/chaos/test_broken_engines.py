"""The checker tells an engine that breaks the promise from one that keeps it: the test of the tests.

Each engine is broken in one place (``broken.py``) and struck where that shows.
"""

import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, get_args

import pytest
from confluent_kafka import TopicPartition

from stream.configuration.clients import client_properties
from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.embedded.kafka import EmbeddedKafka
from stream.engine.group_offsets import GroupOffsets
from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from tests.chaos.broken import Engine
from tests.chaos.checker import Verdict, compare, read_everything
from tests.chaos.crew import Crew, Member
from tests.chaos.deployment import configuration_text, create
from tests.chaos.expectations import expected_of
from tests.chaos.faults import Site
from tests.chaos.input_log import PARTITIONS, chapters
from tests.chaos.run import CUSTOMERS, await_catching_up
from tests.chaos.writer import Feed, Writer

SEED: Final = 3
EVENTS: Final = 1_500
PACE: Final = 300.0
SESSION_MS: Final = 2_000
TRANSACTION_MS: Final = 60_000
"""Nothing but its owner ends a transaction while the test lasts."""
TAKES_OVER: Final = '"partitions": [0, 1, 2, 3], "event": "assigned"'
"""As the log of a worker has it."""
RESTORED: Final = '"event": "restored"'
PATIENCE_S: Final = 20.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def dies_between_offsets_and_outputs(crew: Crew, configuration: Configuration) -> None:
    (member,) = crew.members
    member.wanted = False
    member.arm("die", "begun", 5)
    member.await_death()
    member.start()


def comes_back_in_the_middle_of_a_commit(crew: Crew, configuration: Configuration) -> None:
    """The owner sleeps before its commit until another has restored its partitions, and then commits."""
    _outlive(crew, configuration, "offsets_sent").signal(signal.SIGCONT)


def dies_in_the_middle_of_a_commit(crew: Crew, configuration: Configuration) -> None:
    """The owner sleeps, its state and outputs written, until another has restored its partitions, and then dies: the
    broker aborts the transaction when the owner begins anew."""
    owner = _outlive(crew, configuration, "produced")
    owner.kill()
    owner.start()


def _outlive(crew: Crew, configuration: Configuration, site: Site) -> Member:
    """The owner, asleep at ``site`` of a commit, when its heir has restored its partitions and made something of it."""
    owner, heir = crew.of("decisions")
    heir.await_ready()
    owner.arm("freeze", site, 5)
    owner.await_frozen()
    before = heir.log_tail().count(TAKES_OVER)
    assert eventually(lambda: heir.log_tail().count(TAKES_OVER) > before), "nobody takes over"
    # One that does not wait for the owner restores what the owner is about to change.
    assert eventually(lambda: heir.log_tail().rpartition(TAKES_OVER)[2].count(RESTORED) >= PARTITIONS), (
        "nobody restores"
    )
    # When the owner comes back, the group assigns anew: what the heir has not committed by then it does not commit.
    assert eventually(lambda: _committers(configuration) == {heir.instance}), "the heir commits nothing"
    return owner


def _committers(configuration: Configuration) -> set[str]:
    """Who has committed last, over all partitions. A transaction that is open does not count."""
    names = configuration.topics.topic_names()
    offsets = GroupOffsets(client_properties(configuration.kafka), names.group("decisions"), stable=False)
    requests = names.physical(topics.SCORE_REQUESTS)
    places = [TopicPartition(requests, partition) for partition in range(PARTITIONS)]
    return {json.loads(place.metadata or "{}").get("instance", "") for place in offsets.committed(places, PATIENCE_S)}


def nothing_happens(crew: Crew, configuration: Configuration) -> None:
    """But for what is twice in every log."""
    (member,) = crew.members
    member.await_ready()


STRIKES: Final[dict[Engine, tuple[Callable[[Crew, Configuration], None], dict[str, int]]]] = {
    "offsets_first": (dies_between_offsets_and_outputs, {"profiles": 1}),
    "last_stable_offset_only": (comes_back_in_the_middle_of_a_commit, {"profiles": 1, "decisions": 2}),
    "high_watermark_only": (dies_in_the_middle_of_a_commit, {"profiles": 1, "decisions": 2}),
    "no_dedupe": (nothing_happens, {"profiles": 1}),
}


Verdicts = dict[Engine, Future[Verdict]]


@pytest.fixture(scope="module")
def verdicts(embedded_kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    folder, servers = tmp_path_factory.mktemp("broken"), embedded_kafka.bootstrap_servers
    # All at once: most of the time they wait.
    with ThreadPoolExecutor(len(STRIKES)) as pool:
        yield {engine: pool.submit(_judged, engine, servers, folder) for engine in STRIKES}


def test_every_broken_engine_is_struck() -> None:
    assert {*STRIKES, "shipped"} == {*get_args(Engine)}


def test_offsets_committed_before_outputs_lose_events(verdicts: Verdicts) -> None:
    assert verdicts["offsets_first"].result().lost


def test_a_restore_that_does_not_wait_for_the_former_owner_does_things_twice(verdicts: Verdicts) -> None:
    assert verdicts["last_stable_offset_only"].result().twice


def test_a_restore_to_the_high_watermark_loses_what_a_former_owner_did_not_commit(verdicts: Verdicts) -> None:
    assert verdicts["high_watermark_only"].result().lost


def test_a_fold_that_knows_no_ids_makes_wrong_states(verdicts: Verdicts) -> None:
    assert verdicts["no_dedupe"].result().wrong_states


def _judged(engine: Engine, servers: str, folder: Path) -> Verdict:
    strike, workers = STRIKES[engine]
    with Topics(servers, label=engine.replace("_", "-")) as own:
        config = folder / f"{engine}.toml"
        config.write_text(
            configuration_text(
                folder / engine, servers, own.prefix, session_ms=SESSION_MS, transaction_ms=TRANSACTION_MS
            )
        )
        configuration = load(config, {}).configuration
        create(configuration)
        names = configuration.topics.topic_names()
        logs = folder / engine
        logs.mkdir(exist_ok=True)
        crew = Crew(
            [
                Member(role, f"{engine}-{role[0]}{number}", config, logs, engine=engine)
                for role, count in workers.items()
                for number in range(count)
            ]
        )
        writer = Writer(configuration, names.physical(topics.EVENTS))
        with crew, Feed(writer, chapters(SEED, CUSTOMERS), PACE) as feed:
            strike(crew, configuration)
            assert eventually(lambda: writer.written >= EVENTS)
            feed.end()
            with suppress(AssertionError):
                # Some never do.
                await_catching_up(configuration, writer.ends, crew, patience_s=PATIENCE_S)
            for member in crew.members:
                if member.alive:
                    member.stop()
        reading = read_everything(configuration)
        verdict = compare(reading, expected_of(reading, configuration))
        print(verdict.report(1))
        return verdict

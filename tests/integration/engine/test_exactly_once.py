"""Whatever happens to workers and transactions, what is committed is what a straight fold of the log gives."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from stream.engine.clients import make_consumer
from stream.engine.fencing import WorkerFenced
from stream.engine.processor import OutputRecord
from stream.engine.settings import EngineSettings
from stream.engine.transactions import PartitionCommit, Transactions
from stream.testing.waiting import eventually
from tests.integration.engine.counting import WORDS
from tests.integration.engine.deployment import Deployment

KEYS = [f"customer-{number}" for number in range(20)]


def some_records(count: int, seed: int, start: int = 10_000, words: Sequence[str] = WORDS) -> Iterator[tuple[str, str]]:
    """A log with everything in it, in which time goes on and back."""
    draw = random.Random(seed)
    now = start
    for _ in range(count):
        now = max(1_000, now + draw.randint(-400, 500))
        word = draw.choice(words) if draw.random() < 0.05 else "plain"
        yield draw.choice(KEYS), f"{now} {draw.randint(-9, 9)} {word}"


# Within one commit, a record may mend what only the commit would have found: see the unit tests.
COMMIT_FREE = [word for word in WORDS if word not in ("unencodable", "fat")]


def test_stopped_and_started_in_the_middle(deployment: Deployment) -> None:
    folded, records = 0.0, 3_000
    for part in range(3):
        deployment.produce(some_records(records, part, 10_000 + 20_000 * part, COMMIT_FREE))
        run = deployment.start(consume_batch=10)
        assert eventually(lambda run=run: run.metric("tidemark_outputs_total") > 0)
        run.stop()
        folded += run.metric("tidemark_records_total")
        assert folded < records * (part + 1)
    with deployment.running():
        deployment.folded()
    deployment.assert_exact()


def test_a_stop_commits_what_is_folded(deployment: Deployment) -> None:
    deployment.produce(some_records(300, 1))
    run = deployment.start(commit_interval_ms=600_000, timers_per_step=100_000)
    assert eventually(lambda: sum(held.partition.next_offset for held in run.worker._holdings.held.values()) == 300)
    assert all(found.offset < 0 for found in deployment.committed())
    run.stop()
    assert sum(found.offset for found in deployment.committed()) == 300


class Failing(Transactions):
    """Fails now and then, at every step of a commit, with an error that the transaction survives by an abort."""

    def __init__(self, producer: Producer, changelog_topic: str, keep_trying: Callable[[], bool]) -> None:
        super().__init__(producer, changelog_topic, keep_trying)
        self.draw = random.Random(7)
        self.failures = 0

    def _maybe(self) -> None:
        if self.draw.random() < 0.1:
            self.failures += 1
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "planted", txn_requires_abort=True))

    def produce(self, outputs: Sequence[Sequence[OutputRecord]], partitions: Sequence[PartitionCommit]) -> None:
        self._maybe()
        super().produce(outputs, partitions)
        self._maybe()

    def send_offsets(self, offsets: list[Any], group_metadata: Any) -> None:
        super().send_offsets(offsets, group_metadata)
        self._maybe()


def test_an_abort_puts_everything_back(deployment: Deployment) -> None:
    with deployment.running(make_transactions=Failing, timers_per_step=10, max_uncommitted_records=50) as run:
        deployment.produce(some_records(600, 1, words=COMMIT_FREE))
        deployment.folded()
        assert run.metric("tidemark_aborts_total") >= 5
        assert run.metric("tidemark_records_total") <= 600, "what was rolled back does not count"
    deployment.assert_exact()


def test_a_worker_whose_producer_is_fenced_once_recovers_by_itself(deployment: Deployment) -> None:
    with deployment.running() as run:
        deployment.produce(some_records(500, 1))
        deployment.folded()
        usurper = Producer(deployment.kafka | {"transactional.id": f"{deployment.group}.a"})
        usurper.init_transactions(10)
        deployment.produce(some_records(500, 2, 30_000))
        deployment.folded()
        # Under whatever name: once in a whole run it was not `_FENCED`.
        assert run.metric("tidemark_aborts_total") >= 1
    deployment.assert_exact()


def test_a_worker_ends_when_it_has_a_live_twin(deployment: Deployment) -> None:
    deployment.produce(some_records(300, 1))
    first = deployment.start()
    deployment.folded()
    with deployment.running() as second:
        assert eventually(lambda: len(second.worker.partitions) == 2)
        error = first.ended_with()
        assert isinstance(error, WorkerFenced)
        assert "--instance" in str(error)
        assert "'a'" in str(error)
        deployment.runs.remove(first)
        deployment.produce(some_records(300, 2, 30_000))
        deployment.folded()
        assert second.alive
    deployment.assert_exact()


def test_a_worker_takes_its_name_back_from_a_member_that_nobody_is(deployment: Deployment) -> None:
    """As a join leaves one whose answer was lost: the group waits for its heartbeats."""
    deployment.produce(some_records(300, 1))
    with deployment.running():
        deployment.folded()
        settings = EngineSettings(session_timeout_ms=30_000)
        stranger = make_consumer(deployment.kafka, settings, deployment.group, "a")
        stranger.subscribe([deployment.processor.input_topic])

        def joined() -> bool:
            stranger.poll(0.1)
            return len(stranger.assignment()) == deployment.partitions

        assert eventually(joined)
        # A static member says no farewell.
        stranger.close()
        deployment.produce(some_records(300, 2, 30_000))
        deployment.folded()
    deployment.assert_exact()


def test_a_producer_that_is_fenced_again_and_again_has_a_twin_that_is_in_no_group(deployment: Deployment) -> None:
    run = deployment.start()
    stop = threading.Event()

    def fence() -> None:
        while not stop.wait(0.1):
            Producer(deployment.kafka | {"transactional.id": f"{deployment.group}.a"}).init_transactions(10)
            deployment.produce([("a", "1 1")])

    twin = threading.Thread(target=fence, daemon=True)
    twin.start()
    try:
        with pytest.raises(WorkerFenced, match="--instance"):
            raise run.ended_with()
    finally:
        stop.set()
        twin.join(10)


class FencedOnce(Transactions):
    """The group refuses the first commit as another member's, as it does to one whose session ran out while it waited
    for a broker."""

    fenced = False

    def send_offsets(self, offsets: list[Any], group_metadata: Any) -> None:
        if not FencedOnce.fenced:
            FencedOnce.fenced = True
            raise KafkaException(KafkaError(KafkaError.FENCED_INSTANCE_ID, "planted", txn_requires_abort=True))
        super().send_offsets(offsets, group_metadata)


def test_a_worker_that_is_fenced_by_its_own_past_joins_anew(deployment: Deployment) -> None:
    FencedOnce.fenced = False
    deployment.produce(some_records(300, 1))
    with deployment.running(make_transactions=FencedOnce):
        deployment.folded()
        deployment.produce(some_records(300, 2, 30_000))
        deployment.folded()
        assert FencedOnce.fenced
    deployment.assert_exact()

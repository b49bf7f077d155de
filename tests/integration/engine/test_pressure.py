"""A worker takes in only what it has room for, keeps its place in the group while it waits, and pauses when most of its
input is bad."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from stream.engine.processor import Stage
from stream.testing.waiting import eventually
from tests.integration.engine.counting import Counting, Said
from tests.integration.engine.deployment import Deployment

PENDING = 500
PENDING_BYTES = 100_000


class Gate(Stage[Said]):
    """Answers with the amount, in any order, and only while it is open."""

    max_batch = 10
    max_in_flight = 8

    def __init__(self) -> None:
        self.open_now = threading.Event()
        self.asked = 0

    def needs(self, payload: Said) -> bool:
        return payload.word != "aside"

    async def run(self, batch: Sequence[Said]) -> list[int]:
        self.asked += 1
        number = self.asked
        await asyncio.to_thread(self.open_now.wait, 30)
        # Later batches end first.
        await asyncio.sleep(0.01 if number % 2 else 0.001)
        return [said.amount for said in batch]


class Gated(Counting):
    def __init__(self, *more: Any) -> None:
        super().__init__(*more)
        self.stage = self.gate = Gate()


def test_behind_a_slow_stage_pending_records_are_bounded_and_the_place_in_the_group_is_kept(
    deploy: Callable[..., Deployment],
) -> None:
    deployment = deploy(processor=Gated)
    deployment.produce((f"customer-{number % 50}", f"{10_000 + number} {number}") for number in range(3_000))
    processor = Gated(deployment.topics.prefix)
    with deployment.running(processor=processor, max_pending_records=PENDING, consume_batch=1_000) as run:
        assert eventually(lambda: run.worker._holdings.pending >= PENDING)
        time.sleep(2.5)  # two and a half session time-outs
        # One more for each second in which nothing else would have shown the group that it is alive.
        assert PENDING <= run.worker._holdings.pending <= PENDING + 5
        assert run.worker.partitions == [0, 1]
        assert run.worker._stage.in_flight == Gate.max_in_flight
        assert all(found.offset < 0 for found in deployment.committed()), "nothing is answered yet"
        processor.gate.open_now.set()
        deployment.folded()
        assert run.worker.deepest_in_flight == Gate.max_in_flight
    outputs = [record for record in deployment.outputs() if record.key != b"time"]
    assert len(outputs) == 3_000
    # "offset records total answer": every record with its own answer, in offset order for each key.
    assert all((record.value or b"").split()[3] == b"%d" % _amount(deployment, record) for record in outputs[:50])
    offsets: dict[bytes | None, list[int]] = {}
    for record in outputs:
        offsets.setdefault(record.key, []).append(int((record.value or b"").split()[0]))
    assert all(own == sorted(own) for own in offsets.values())


def _amount(deployment: Deployment, output: Any) -> int:
    """The amount of the record that an output was made from."""
    if not hasattr(deployment, "_amounts"):
        deployment._amounts = {  # type: ignore[attr-defined]
            (record.partition, record.offset): int((record.value or b"").split()[1])
            for record in deployment.read(deployment.processor.input_topic)
        }
    return deployment._amounts[output.partition, int(output.value.split()[0])]  # type: ignore[attr-defined,no-any-return]


def test_pending_bytes_are_bounded_too(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(processor=Gated, partitions=1)
    padding = " " * 2_000
    processor = Gated(deployment.topics.prefix)
    processor.gate.open_now.set()
    with deployment.running(processor=processor, max_pending_bytes=PENDING_BYTES) as run:
        # Records tell how large they are: from then on no more are asked for than there is room for.
        deployment.produce((f"customer-{number}", f"10000 1{padding}") for number in range(5))
        deployment.folded()
        processor.gate.open_now.clear()
        deployment.produce((f"customer-{number % 50}", f"{10_000 + number} 1{padding}") for number in range(500))
        assert eventually(lambda: run.worker._holdings.pending_bytes >= PENDING_BYTES)
        time.sleep(0.5)
        assert run.worker._holdings.pending_bytes <= PENDING_BYTES + 2_010
        processor.gate.open_now.set()
        deployment.folded()
        assert (run.worker._holdings.pending, run.worker._holdings.pending_bytes) == (0, 0)


def test_a_partition_pauses_when_most_of_its_input_is_bad_and_the_others_go_on(
    deploy: Callable[..., Deployment],
) -> None:
    deployment = deploy()
    bad, good = 0, 1
    guarded: dict[str, Any] = {"dead_letter_share": 0.05, "dead_letter_minimum": 50, "max_pending_records": 300}
    deployment.produce([("a", f"{10_000 + number} 1") for number in range(90)], partition=bad)
    deployment.produce([("a", "rubbish") for number in range(110)], partition=bad)
    with deployment.running(**guarded) as run:
        assert eventually(lambda: run.metric("tidemark_partition_paused", partition="0") == 1)
        assert eventually(
            lambda: "110 of the last 200 records became dead letters" in deployment.committed()[bad].metadata
        )
        # More than there is room for: it must not keep the other partition from its own.
        deployment.produce([("a", f"{20_000 + number} 1") for number in range(1_000)], partition=bad)
        deployment.produce([("b", f"{20_000 + number} 1") for number in range(1_000)], partition=good)
        deployment.folded([0, 1_000])
        assert deployment.committed()[bad].offset == 200
        assert "paused" not in json.loads(deployment.committed()[good].metadata)
        run.worker.resume()
        deployment.folded([1_200, 1_000])
        assert eventually(lambda: "paused" not in json.loads(deployment.committed()[bad].metadata))
        assert eventually(lambda: run.metric("tidemark_partition_paused", partition="0") == 0)
    deployment.assert_exact()


def test_a_backlog_is_committed_in_larger_steps_and_what_is_live_at_once(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(partitions=1)
    deployment.produce((f"customer-{number % 50}", f"{10_000 + number} 1") for number in range(4_000))
    pace: dict[str, Any] = {"commit_interval_ms": 1, "consume_batch": 50}
    with deployment.running(backlog_commit_interval_ms=600_000, **pace):
        # A worker that always waited for so long would commit nothing here.
        deployment.folded()

    def commits() -> int:
        return sum(record.key == b"" for record in deployment.read(deployment.processor.changelog_topic))

    behind = commits()
    assert behind <= 5, "80 batches in one commit, but for the start and the end"
    for number in range(3):
        deployment.produce([("live", f"{20_000 + number} 1")])
        with deployment.running(backlog_commit_interval_ms=600_000, **pace):
            deployment.folded()
    assert commits() == behind + 3
    deployment.assert_exact()


def test_a_worker_that_is_held_back_keeps_its_place_in_the_group_and_goes_on_when_it_is_let_go(
    deployment: Deployment,
) -> None:
    with deployment.running() as run:
        assert eventually(lambda: run.worker.partitions == [0, 1])
        run.worker.held_back = True
        deployment.produce((f"customer-{number % 50}", f"{10_000 + number} {number}") for number in range(600))
        time.sleep(2.5)  # two and a half session time-outs
        # One a second shows the group that it is alive.
        assert sum(run.worker.folded().values()) <= 10
        assert run.worker.partitions == [0, 1]
        run.worker.held_back = False
        deployment.folded()
    deployment.assert_exact()

"""Bugs that other stream processors had, as far as no other test is named for them.

The whole list, with the test of each, is in docs/decisions/0019-faults.md.
"""

from collections.abc import Callable, Sequence

import pytest
from confluent_kafka import Producer

from stream.testing.waiting import eventually
from tests.integration.engine.counting import Said, Sum
from tests.integration.engine.deployment import Deployment
from tests.integration.engine.test_pressure import Gate, Gated

HELD = 40


class HoldsOne(Gate):
    """Answers everything but one, for which it waits until it is open."""

    max_batch = 1

    async def run(self, batch: Sequence[Said]) -> list[int]:
        if batch[0].amount == HELD:
            return await super().run(batch)
        return [said.amount for said in batch]


class Holding(Gated):
    def __init__(self, prefix: str) -> None:
        super().__init__(prefix)
        self.stage = self.gate = HoldsOne()


def test_offsets_are_not_committed_past_work_in_flight(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(processor=Holding, partitions=1)
    processor = Holding(deployment.topics.prefix)
    deployment.produce(("a", f"{10_000 + number} {number}") for number in range(100))
    run = deployment.start(processor=processor)
    deployment.folded([HELD])
    # All that came behind it is answered and has to wait.
    assert eventually(lambda: run.worker._stage.in_flight == 1)
    run.stop()
    assert [found.offset for found in deployment.committed()] == [HELD]
    with deployment.running(processor=Gated(deployment.topics.prefix)) as again:
        again.worker._processor.stage.open_now.set()
        deployment.folded([100])
    answered = [record.value.split()[-1] for record in deployment.outputs() if record.key == b"a"]
    assert answered == [b"%d" % number for number in range(100)]


def test_a_changelog_is_restored_into_its_own_partition_s_state(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(partitions=3)
    for partition in range(3):
        # The same key everywhere, as if keys had moved: each partition has a state of its own for it.
        deployment.produce([("a", f"1000 {10**partition}")] * 2, partition=partition)
    with deployment.running():
        deployment.folded()
    for partition in range(3):
        deployment.produce([("a", "1001 1")], partition=partition)
    with deployment.running("another"):
        deployment.folded()
    totals = [deployment.processor.codec.decode(states[b"a"][8:]).total for states, _ in deployment.changelog()]
    assert totals == [3, 21, 201]


@pytest.mark.parametrize("states", [{}, {b"a": Sum(total=3)}], ids=["nothing", "aborted"])
def test_recovery_ends_on_a_changelog_in_which_nothing_can_be_read(
    deploy: Callable[..., Deployment], states: dict[bytes, Sum]
) -> None:
    deployment = deploy(partitions=1)
    producer = Producer(deployment.kafka | {"transactional.id": f"{deployment.topics.prefix}aborts"})
    producer.init_transactions(10)
    for _ in range(3):
        producer.begin_transaction()
        for key, state in states.items():
            producer.produce(deployment.processor.changelog_topic, deployment.processor.codec.encode(state), key, 0)
        producer.flush(10)
        producer.abort_transaction(10)
    deployment.produce([("a", "1000 1")])
    with deployment.running():
        deployment.folded([1])
    deployment.assert_exact()

"""What a worker tells Prometheus for on-call's rules: up to when all is folded, how far a restore is, and nothing of
partitions that others hold."""

import time
from collections.abc import Callable

from stream.testing.waiting import eventually
from tests.integration.engine.counting import Sum
from tests.integration.engine.deployment import Deployment, Running
from tests.integration.engine.test_pressure import Gated
from tests.integration.engine.test_restore import FormerOwner

FOLDED_UNTIL = "tidemark_folded_until_seconds"


def lag(run: Running) -> float:
    """As the rule has it, of the one partition."""
    return time.time() - run.metric(FOLDED_UNTIL)


def test_lag_grows_from_the_oldest_record_that_waits_and_ends_with_it(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(processor=Gated, partitions=1)
    processor = Gated(deployment.topics.prefix)
    with deployment.running(processor=processor) as run:
        before = time.time()
        assert eventually(lambda: run.metric(FOLDED_UNTIL) > before), "an idle partition is not behind"
        deployment.produce([("a", "10000 1")])
        assert eventually(lambda: lag(run) > 2)
        assert run.metric(FOLDED_UNTIL) > before
        processor.gate.open_now.set()
        folded = time.time()
        assert eventually(lambda: run.metric(FOLDED_UNTIL) > folded)


def test_a_paused_partition_falls_behind_though_it_had_seen_the_end_of_its_log(
    deploy: Callable[..., Deployment],
) -> None:
    deployment = deploy(partitions=1)
    guarded = {"dead_letter_share": 0.05, "dead_letter_minimum": 50}
    with deployment.running(**guarded) as run:
        deployment.produce([("a", "rubbish") for _ in range(60)])
        assert eventually(lambda: run.metric("tidemark_partition_paused") == 1)
        paused = time.time()
        assert eventually(lambda: lag(run) > 2)
        assert run.metric(FOLDED_UNTIL) <= paused


def test_a_partition_that_goes_to_another_worker_is_told_of_by_that_one_alone(deployment: Deployment) -> None:
    with deployment.running("a") as first:
        assert eventually(lambda: told(first) == {"0", "1"})
        with deployment.running("b") as second:
            assert eventually(lambda: len(told(first)) == len(told(second)) == 1)
            assert told(first) | told(second) == {"0", "1"}
            assert first.metric("tidemark_partitions") == second.metric("tidemark_partitions") == 2
        assert eventually(lambda: told(first) == {"0", "1"})


def test_a_restore_says_when_it_began_until_it_is_over(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(partitions=1)
    deployment.produce([("a", f"{1_000 + number} 1") for number in range(10)])
    former = FormerOwner(deployment)
    former.commit({b"a": Sum(total=3, records=3)}, 3)
    former.write({b"a": Sum(total=5, records=5)}, 5)
    former.leave()
    begun = time.time()
    # It waits for the transaction that is open.
    with deployment.running() as run:
        assert eventually(lambda: begun - 1 < run.metric("tidemark_restore_started_seconds") < time.time())
        assert told(run) == set(), "nobody knows yet how far it is behind"
        former.producer.abort_transaction(10)
        deployment.folded([10])
        assert eventually(lambda: run.metric("tidemark_restore_started_seconds") == 0)
        assert run.metric("tidemark_restore_remaining_records") == 0


def told(run: Running) -> set[str]:
    """Partitions of which the worker says up to when they are folded."""
    return {
        sample.labels["partition"]
        for family in run.registry.collect()
        for sample in family.samples
        if sample.name == FOLDED_UNTIL
    }

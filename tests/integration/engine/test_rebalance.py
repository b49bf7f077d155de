"""Workers share partitions, and whoever gets one goes on where its former owner stopped."""

from collections import Counter
from collections.abc import Callable

from stream.engine.stores.memory import MemoryStore
from stream.engine.stores.store import Stamp, Store
from stream.testing.waiting import eventually
from tests.integration.engine.deployment import Deployment, Running
from tests.integration.engine.test_exactly_once import COMMIT_FREE, some_records


class CountedStores:
    """Memory stores, and how often each partition's was opened."""

    def __init__(self) -> None:
        self.opened: Counter[int] = Counter()

    def __call__(self, partition: int, stamp: Stamp) -> Store:
        self.opened[partition] += 1
        return MemoryStore()


def shared_out(*runs: Running, partitions: int) -> bool:
    """Whether every partition has one owner and every worker has some."""
    held = [run.worker.partitions for run in runs]
    return all(held) and sorted(number for numbers in held for number in numbers) == list(range(partitions))


def test_one_two_three_and_one_worker_give_what_one_gives(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(partitions=6)
    parts = iter(range(100))

    def more() -> None:
        part = next(parts)
        deployment.produce(some_records(200, part, 10_000 + 9_000 * part, COMMIT_FREE))

    stores = CountedStores()
    more()
    first = deployment.start("a", stores=stores)
    assert eventually(lambda: shared_out(first, partitions=6))
    more()
    second = deployment.start("b")
    more()
    assert eventually(lambda: shared_out(first, second, partitions=6))
    third = deployment.start("c")
    more()
    assert eventually(lambda: shared_out(first, second, third, partitions=6))
    restored = first.metric("tidemark_restored_records_total")
    more()
    second.stop()
    third.stop()
    assert eventually(lambda: shared_out(first, partitions=6))
    more()
    deployment.folded()
    assert first.metric("tidemark_restored_records_total") > restored, "what the others wrote has to be read"
    # It kept some over each rebalance, and those it did not open again.
    assert any(times == 1 for times in stores.opened.values())
    assert all(times <= 2 for times in stores.opened.values())
    first.stop()
    deployment.assert_exact()


def test_a_partition_that_comes_back_is_not_read_again(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(partitions=4)
    deployment.produce(some_records(400, 1))
    stores = CountedStores()
    first = deployment.start("a", stores=stores)
    deployment.folded()
    with deployment.running("b") as second:
        assert eventually(lambda: shared_out(first, second, partitions=4))
        kept = first.worker.partitions
        assert [stores.opened[number] for number in kept] == [1] * len(kept)
        assert [first.metric("tidemark_restored_records_total", partition=str(number)) for number in kept] == [0] * len(
            kept
        )
        assert second.metric("tidemark_restored_records_total") > 0
    first.stop()


def test_the_newer_group_protocol_shares_partitions_too(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(partitions=4)
    deployment.produce(some_records(200, 1))
    newer = {"group_protocol": "consumer"}
    with deployment.running("a", **newer) as first, deployment.running("b", **newer) as second:
        assert eventually(lambda: shared_out(first, second, partitions=4))
        deployment.produce(some_records(200, 2, 30_000))
        deployment.folded()
    deployment.assert_exact()

"""Time comes from the log alone: ticks go where nothing else would move it, and a signal wakes who waits for one."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from stream.contracts.emission import Headers
from stream.engine.processor import Stage
from stream.testing.waiting import eventually
from tests.integration.engine.counting import Counting, Said
from tests.integration.engine.deployment import Deployment

DELAY_MS = 300


class Ticking(Counting):
    def tick(self, time: int) -> tuple[bytes, Headers] | None:
        return b"%d 0 tick" % time, (("tick", b"1"),)


def now_ms() -> int:
    return int(time.time() * 1000)


def test_only_live_idle_partitions_that_are_caught_up_get_ticks(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(processor=Ticking, partitions=4)
    live, history, busy, silent = range(4)
    stop = threading.Event()

    def shop_on() -> None:
        while not stop.wait(0.03):
            deployment.produce([("busy", f"{now_ms()} 1")], partition=busy)

    began = now_ms()
    deployment.produce([("a", f"{began} 1")], partition=live)
    deployment.produce([("b", f"{began - 90_000} 1")], partition=history)
    shopper = threading.Thread(target=shop_on, daemon=True)
    shopper.start()
    try:
        run = deployment.start(tick_interval_ms=200, tick_delay_ms=DELAY_MS)
        assert eventually(lambda: any(record.key == b"silence" for record in deployment.outputs()), timeout=10)
    finally:
        stop.set()
        shopper.join()
    run.stop()
    # What came last may not be folded.
    with deployment.running():
        last = {record.partition: record.offset for record in deployment.read(deployment.processor.input_topic)}
        deployment.folded([last.get(number, -1) + 1 for number in range(deployment.partitions)])
    ticks = [record for record in deployment.read(deployment.processor.input_topic) if record.key is None]
    assert {tick.partition for tick in ticks} == {live}
    assert silent not in {tick.partition for tick in ticks}
    times = [int((tick.value or b"").split()[0]) for tick in ticks]
    assert times == sorted(set(times))
    assert all(moment <= tick.timestamp_ms - DELAY_MS for moment, tick in zip(times, ticks, strict=True))
    assert all(dict(tick.headers) == {"tick": b"1"} for tick in ticks)
    assert len(ticks) <= (now_ms() - began) / 200 + 1
    silences = [record.value for record in deployment.outputs() if record.key == b"silence"]
    assert silences[0] == b"%d 1 at %d" % (began + 1_000, began + 1_000), "the timer knows its due time, no clock"
    deployment.assert_exact()


def test_a_worker_that_finds_a_live_partition_idle_at_its_start_moves_its_time(
    deploy: Callable[..., Deployment],
) -> None:
    deployment = deploy(processor=Ticking, partitions=2)
    live, history = range(2)
    began = now_ms()
    deployment.produce([("a", f"{began} 1")], partition=live)
    deployment.produce([("b", f"{began - 90_000} 1")], partition=history)
    with deployment.running(tick_interval_ms=60_000):
        deployment.folded()
    assert all(record.key is not None for record in deployment.read(deployment.processor.input_topic))
    with deployment.running(tick_interval_ms=100, tick_delay_ms=DELAY_MS):
        assert eventually(lambda: any(record.key == b"silence" for record in deployment.outputs()), timeout=10)
    ticks = [record for record in deployment.read(deployment.processor.input_topic) if record.key is None]
    assert {tick.partition for tick in ticks} == {live}


class Switched(Stage[Said]):
    """Answers with the amount; what it asks is there, or gone."""

    def __init__(self) -> None:
        self.back = False

    def needs(self, payload: Said) -> bool:
        return False

    def recovered(self) -> bool:
        return self.back

    async def run(self, batch: Sequence[Said]) -> list[int]:
        await asyncio.sleep(0)
        return [said.amount for said in batch]


class Signalling(Counting):
    def __init__(self, *more: Any) -> None:
        super().__init__(*more)
        self.stage = self.switch = Switched()

    def signal(self, time: int) -> tuple[bytes, Headers] | None:
        return b"%d 0 signal" % time, ()


def test_a_signal_in_the_log_wakes_those_that_wait_once(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(processor=Signalling)
    keys = [f"customer-{number}" for number in range(12)]
    deployment.produce([(key, "10000 1 wait") for key in keys])
    deployment.produce([("nobody", "10000 1 plain")])
    processor = Signalling(deployment.topics.prefix)

    def signals() -> list[Any]:
        return [record for record in deployment.read(deployment.processor.input_topic) if record.key is None]

    with deployment.running(processor=processor, timers_per_step=5):
        deployment.folded()
        time.sleep(0.6)
        assert signals() == [], "nothing is back yet"
        processor.switch.back = True
        assert eventually(lambda: sum(record.key == b"woken" for record in deployment.outputs()) == len(keys))
    assert len(signals()) == deployment.partitions
    deployment.assert_exact()

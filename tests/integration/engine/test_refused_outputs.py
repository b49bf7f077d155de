"""What is too large becomes a dead letter alone, whoever finds out: the engine by its own bound, or only the broker."""

from collections.abc import Callable

import pytest

from stream.engine.commits import DeadLetterRefused
from stream.engine.processor import Context
from tests.integration.engine.counting import SILENCE_MS, Counting, Said, Sum
from tests.integration.engine.deployment import Deployment

SMALL = 20_000
"""What the broker takes of a topic in these tests, in bytes."""
BIG = 3 * SMALL


def records(count: int, culprits: dict[int, str]) -> list[tuple[str, str]]:
    return [
        (f"customer-{number % 15}", f"{10_000 + 10 * number} 1 {culprits.get(number, 'plain')}")
        for number in range(count)
    ]


@pytest.mark.parametrize("word", ["big", "fat"], ids=["output", "state"])
def test_what_is_over_the_engines_bound_is_buried_alone(deployment: Deployment, word: str) -> None:
    deployment.produce(records(300, {50: word, 51: word, 170: word}))
    with deployment.running(max_output_bytes=1_000_000) as run:
        deployment.folded()
        assert run.metric("tidemark_aborts_total") == 0
    assert deployment.dead_letters() == {"too_large": 3}
    deployment.assert_exact()


def test_what_only_the_broker_refuses_is_searched_for_and_buried_alone(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(output_settings={"max.message.bytes": str(SMALL)})
    deployment.produce(records(16, {9: "big"}))
    processor = Counting(deployment.topics.prefix, big=BIG)
    with deployment.running(processor=processor, producer_properties={"batch.size": SMALL // 2}) as run:
        deployment.folded()
        assert 2 <= run.metric("tidemark_aborts_total") <= 12
    assert deployment.dead_letters() == {"too_large": 1}
    deployment.assert_exact(limit=SMALL, processor=processor)


class Shouting(Counting):
    """One key's timer makes too much; the engine does not know."""

    def on_timer(self, state: Sum, due: int, context: Context[Said]) -> Sum | None:
        after = super().on_timer(state, due, context)
        if state.total == 7:
            context.emit(self.output_topic, b"silence", self.noise)
        return after


def test_a_timer_whose_output_the_broker_refuses_is_buried_and_the_others_fire(
    deploy: Callable[..., Deployment],
) -> None:
    deployment = deploy(processor=Shouting, partitions=1, output_settings={"max.message.bytes": str(SMALL)})
    deployment.produce([(f"customer-{number}", f"10000 {number}") for number in range(20)])
    deployment.produce([("customer-0", f"{10_000 + SILENCE_MS} 0")])
    with deployment.running(producer_properties={"batch.size": SMALL // 2}):
        deployment.folded()
    assert deployment.dead_letters() == {"too_large": 1}
    fired = [record for record in deployment.outputs() if record.key == b"silence"]
    assert len(fired) == 19
    ((states, _),) = deployment.changelog()
    state = deployment.processor.codec.decode(states[b"customer-7"][8:])
    assert (state.total, state.silences) == (7, 0)


def test_a_dead_letter_that_the_broker_refuses_too_stops_the_worker(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(
        partitions=1, output_settings={"max.message.bytes": "1000"}, dead_settings={"max.message.bytes": "100"}
    )
    deployment.produce(records(5, {3: "big"}))
    run = deployment.start(processor=Counting(deployment.topics.prefix, big=2_000))
    error = run.ended_with()
    assert isinstance(error, DeadLetterRefused)
    assert "max.message.bytes" in str(error)
    assert deployment.processor.dead_letter_topic in str(error)
    assert sum(record.key != b"time" for record in deployment.outputs()) == 3, "what lies before it is committed"

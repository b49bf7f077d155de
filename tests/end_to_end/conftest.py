"""The log that several tests fold again, and the run that they repeat."""

import os
from collections.abc import Iterator

import pytest

from stream.contracts import topics as names
from stream.embedded.kafka import EmbeddedKafka
from stream.testing.topics import Topics
from tests.chaos.answers import DrawnStage
from tests.chaos.input_log import PARTITIONS, input_log
from tests.chaos.writer import Writer
from tests.end_to_end.repeats import Outputs, Shop, Speed

EVENTS = int(os.environ.get("DETERMINISM_EVENTS", "7000"))
SEED = int(os.environ.get("DETERMINISM_SEED", "7"))
SPEED = Speed(2, 100, 5_000, 2_000, 25.0)


@pytest.fixture(scope="package")
def own_topics(embedded_kafka: EmbeddedKafka) -> Iterator[Topics]:
    with Topics(embedded_kafka.bootstrap_servers, label="same") as own:
        yield own


@pytest.fixture(scope="package")
def shop(own_topics: Topics, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    print(f"\nseed {SEED}")
    events = own_topics.create("events", partitions=PARTITIONS, settings=names.TOPICS[names.EVENTS].settings())
    unwritten = Shop(own_topics.bootstrap_servers, tmp_path_factory.mktemp("same"), events, [])
    writer = Writer(unwritten.configuration(own_topics.name("writer."), SPEED), events)
    writer.write(input_log(EVENTS, SEED, customers=EVENTS // 60))
    return unwritten._replace(ends=writer.ends)


@pytest.fixture(scope="package")
def original_prefix(own_topics: Topics) -> str:
    return own_topics.name("original.")


@pytest.fixture(scope="package")
def original(shop: Shop, original_prefix: str) -> Outputs:
    """The run that others repeat, with answers that it did not know before."""
    return shop.run(original_prefix, SPEED, lambda: DrawnStage(SPEED.longest_answer_ms, fallback_share=0.0))

"""A consumer that learns late where the log ends reads on from where it is told to, and leaves nothing out."""

import time
from pathlib import Path

from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from tests.chaos.brokers import Brokers
from tests.integration.engine.deployment import Deployment
from tests.integration.engine.test_exactly_once import COMMIT_FREE, some_records

DELAY_S = 0.3
"""Each way; an answer takes twice that."""


def test_no_partition_is_taken_up_while_its_fetcher_looks_for_the_end_of_the_log(tmp_path: Path) -> None:
    with Brokers(1, tmp_path) as brokers, Topics(brokers.bootstrap_servers, label="slow") as topics:
        deployment = Deployment(topics)
        deployment.produce(some_records(200, 1, words=COMMIT_FREE))
        with deployment.running():
            deployment.folded()
        deployment.produce(some_records(200, 2, 20_000, COMMIT_FREE))
        brokers.proxy.slow(DELAY_S)
        through_proxy = {"bootstrap.servers": brokers.proxied_servers}
        with deployment.running("b", consumer_properties=through_proxy, session_timeout_ms=20_000) as run:
            assert eventually(lambda: run.worker._consumer and run.worker._consumer.assignment())
            brokers.proxy.hold(answers_only=True)
            time.sleep(3 * DELAY_S)
            assert run.worker.partitions == []
            brokers.proxy.heal()
            deployment.folded(timeout=60)
        deployment.assert_exact()
        deployment.close()

"""A broker that dies and comes back takes nothing with it: a worker goes on by itself."""

import os
import signal
import time

import pytest
from confluent_kafka.admin import AdminClient

from stream.embedded.kafka import EmbeddedKafka
from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from tests.integration.engine.deployment import Deployment
from tests.integration.engine.test_exactly_once import COMMIT_FREE, some_records


@pytest.mark.parametrize("idle", [False, True], ids=["under load", "idle"])
def test_a_worker_outlives_the_death_of_its_broker(idle: bool) -> None:
    with EmbeddedKafka() as kafka, Topics(kafka.bootstrap_servers, label="broker") as topics:
        deployment = Deployment(topics)
        # Longer than the broker is away, so that the open transaction is still there when it is back.
        run = deployment.start(consume_batch=5, transaction_timeout_ms=30_000, session_timeout_ms=10_000)
        deployment.produce(some_records(2_000, 1, words=COMMIT_FREE))
        if idle:
            deployment.folded()
            time.sleep(1)
        else:
            assert eventually(lambda: run.metric("tidemark_outputs_total") > 20)
        os.kill(kafka.pid, signal.SIGKILL)
        kafka.restart()
        # One that saw the old leader may ask it for ever.
        deployment.admin = AdminClient(deployment.kafka)
        deployment.produce(some_records(500, 2, 200_000, COMMIT_FREE))
        deployment.folded(timeout=90)
        run.stop()
        deployment.assert_exact()
        deployment.close()

"""A broker that dies and comes back takes nothing with it: workers go on by themselves."""

import os
import signal
import time

from confluent_kafka.admin import AdminClient

from stream.embedded.kafka import EmbeddedKafka
from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from tests.integration.engine.deployment import Deployment
from tests.integration.engine.test_exactly_once import COMMIT_FREE, some_records

LONGER_THAN_AWAY = {"transaction_timeout_ms": 60_000, "session_timeout_ms": 60_000}
"""The open transaction is still there when the broker is back, and the group still knows its members."""


def test_workers_outlive_the_death_of_their_broker() -> None:
    with EmbeddedKafka() as kafka:
        idle, loaded, forgotten = (
            Deployment(Topics(kafka.bootstrap_servers, label=label)) for label in ("idle", "loaded", "forgotten")
        )
        runs = [
            idle.start(**LONGER_THAN_AWAY),
            loaded.start(consume_batch=5, **LONGER_THAN_AWAY),
            # The session runs out while the worker waits for a commit, and with it the name of the member.
            forgotten.start(consume_batch=5, transaction_timeout_ms=60_000, session_timeout_ms=1_000),
        ]
        idle.produce(some_records(100, 1, words=COMMIT_FREE))
        idle.folded()
        for deployment in (loaded, forgotten):
            deployment.produce(some_records(2_000, 1, words=COMMIT_FREE))
        assert eventually(lambda: all(run.metric("tidemark_outputs_total") > 20 for run in runs))
        os.kill(kafka.pid, signal.SIGKILL)
        time.sleep(1.5)
        kafka.restart()
        for deployment in (idle, loaded, forgotten):
            # One that saw the old leader may ask it for ever.
            deployment.admin = AdminClient(deployment.kafka)
            deployment.produce(some_records(500, 2, 200_000, COMMIT_FREE))
        for deployment, run in zip((idle, loaded, forgotten), runs, strict=True):
            deployment.folded(timeout=90)
            run.stop()
            deployment.assert_exact()
            deployment.close()

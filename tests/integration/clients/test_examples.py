"""The subscribers of ``examples/`` do what their page says: against a real Kafka, with transactions that were rolled
back, alerts that come twice, and a kill."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from confluent_kafka import Producer
from msgspec.structs import replace

from stream.contracts.codec import encode
from stream.contracts.ids import message_id
from stream.embedded.ports import free_ports
from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from tests.integration.clients.tools import java_command, node_command
from tests.unit.operations.messages import alert

EXAMPLES = Path(__file__).parents[3] / "examples"
OPEN, ENDED, ROLLED_BACK = "ann", "bob", "eve"


def transition(customer: str, revision: int, status: str) -> bytes:
    event = alert(revision=revision, customer_id=customer)
    name = str(uuid5(NAMESPACE_URL, customer))
    told = replace(event.data, alert_id=name, status=status, customer_id=customer)
    return encode(replace(event, id=message_id(name, revision), subject=customer, data=told))


@pytest.fixture
def topic(topics: Topics) -> str:
    """Ann's alert is open, Bob's was raised and ended, one record came twice, Eve's transaction was rolled back."""
    name = topics.create("examples")
    producer = Producer({"bootstrap.servers": topics.bootstrap_servers, "transactional.id": name})
    producer.init_transactions(30)
    for commit, values in (
        (True, [(OPEN, 1, "raised"), (ENDED, 1, "raised")]),
        (False, [(ROLLED_BACK, 1, "raised")]),
        (True, [(OPEN, 1, "raised"), (ENDED, 2, "resolved"), (OPEN, 2, "updated")]),
    ):
        producer.begin_transaction()
        for customer, revision, status in values:
            producer.produce(name, transition(customer, revision, status), customer)
        producer.flush(30)
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
    return name


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_python_subscriber_has_every_alert_once_after_a_kill(topics: Topics, topic: str, tmp_path: Path) -> None:
    file = tmp_path / "audience.sqlite"
    command = [sys.executable, str(EXAMPLES / "python" / "audience.py"), topics.bootstrap_servers, str(file), topic]

    def kept(query: str) -> list[Any]:
        try:
            with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
                return database.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []

    def is_done() -> bool:
        return len(kept("SELECT id FROM seen")) == 4

    with running(command) as first:
        assert eventually(is_done, timeout=60)
        # Before its next commit of offsets, five seconds later: the second one is given everything again.
        first.kill()
    with running(command) as second:
        producer = Producer({"bootstrap.servers": topics.bootstrap_servers})
        producer.produce(topic, transition("zoe", 1, "raised"), "zoe")
        assert producer.flush(30) == 0
        assert eventually(lambda: len(kept("SELECT id FROM seen")) == 5, timeout=60)
        second.terminate()
        assert second.wait(30) == 0
    assert kept("SELECT customer_id FROM audience ORDER BY customer_id") == [(OPEN,), ("zoe",)]


def test_the_javascript_subscriber_tells_each_transition_once(topics: Topics, topic: str) -> None:
    command, environ = node_command(EXAMPLES / "javascript" / "audience.js")
    with running([*command, topics.bootstrap_servers, topic], env=environ, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().split("\t")[1:3] for _ in range(4)]
        process.terminate()
        assert process.wait(30) == 0
        assert process.stdout.read() == ""
    assert sorted(told) == [["stop", ENDED], ["write", OPEN], ["write", OPEN], ["write", ENDED]]


def test_kafka_connect_writes_committed_alerts_by_configuration_alone(
    topics: Topics, topic: str, tmp_path: Path
) -> None:
    worker = (EXAMPLES / "connect" / "worker.properties").read_text()
    sink = (EXAMPLES / "connect" / "alerts-to-file.properties").read_text()
    worker = worker.replace("127.0.0.1:9092", topics.bootstrap_servers).replace(":8083", f":{free_ports(1)[0]}")
    (tmp_path / "worker.properties").write_text(worker)
    (tmp_path / "sink.properties").write_text(re.sub(r"(?m)^topics=.*$", f"topics={topic}", sink))
    command = [
        *java_command("org.apache.kafka.connect.cli.ConnectStandalone"),
        "worker.properties",
        "sink.properties",
    ]
    file, log = tmp_path / "alerts.jsonl", tmp_path / "log"

    def lines() -> list[str]:
        return file.read_text().splitlines() if file.exists() else []

    with log.open("w") as said, running(command, cwd=tmp_path, stdout=said, stderr=said):
        assert eventually(lambda: len(lines()) >= 5, timeout=90), log.read_text()[-4_000:]
    found = [json.loads(line) for line in lines()]
    assert {event["subject"] for event in found} == {OPEN, ENDED}
    # What came twice on the topic comes twice here: the id is there to drop it by.
    assert len(found) == 5
    assert len({event["id"] for event in found}) == 4

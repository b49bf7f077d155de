"""What the embedded broker promises: real transactions, data and port kept over a kill, and no process left behind."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from stream.embedded.kafka import EmbeddedKafka
from stream.embedded.process import StartError
from stream.testing.topics import Topics
from stream.testing.waiting import all_gone, eventually

WAIT_SECONDS = 30.0


def test_broker_keeps_port_and_data_over_kill_and_restart(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path / "kafka") as kafka:
        address = kafka.bootstrap_servers
        topics = Topics(address)
        topic = topics.create("kept")
        topics.produce(topic, [("k", "before")])
        os.kill(kafka.pid, signal.SIGKILL)
        assert eventually(lambda: not kafka.alive)
        kafka.restart()
        assert kafka.bootstrap_servers == address
        topics.produce(topic, [("k", "after")])
        assert [record.value for record in topics.consume(topic)] == [b"before", b"after"]

    with EmbeddedKafka(tmp_path / "kafka") as again:
        assert [record.value for record in Topics(again.bootstrap_servers).consume(topic)] == [b"before", b"after"]


PARENT = """
from stream.embedded.kafka import EmbeddedKafka
kafka = EmbeddedKafka()
kafka.start()
print(kafka.data_dir, *kafka.pids, flush=True)
time.sleep(600)
"""


def test_broker_dies_with_its_parent_even_when_the_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    data_dir, *pids = parent.stdout.readline().split()
    assert len(pids) == 2, "supervisor and broker"
    parent.kill()
    parent.wait(WAIT_SECONDS)
    assert eventually(lambda: all_gone(map(int, pids)))
    assert eventually(lambda: not Path(data_dir).exists())


def test_broker_is_gone_after_stop_and_its_temporary_data_after_the_block() -> None:
    with EmbeddedKafka() as kafka:
        pids = kafka.pids
        kafka.stop()
        assert all_gone(pids)
        assert kafka.data_dir.exists()
    assert not kafka.data_dir.exists()


def test_port_that_another_broker_has_is_told_and_that_broker_not_taken_for_ones_own(
    embedded_kafka: EmbeddedKafka,
) -> None:
    port = int(embedded_kafka.bootstrap_servers.rpartition(":")[2])
    with pytest.raises(StartError, match=rf"127.0.0.1:{port} is taken by another program"):
        EmbeddedKafka(port=port).start()


def test_format_cut_short_by_a_kill_is_done_again(tmp_path: Path) -> None:
    half = tmp_path / "logs.part"
    half.mkdir()
    (half / "meta.properties").write_text("cluster.id=half")
    with EmbeddedKafka(tmp_path) as kafka:
        assert kafka.alive
    assert not half.exists()


def test_cluster_id_that_begins_with_a_dash_is_not_read_as_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xfb" * 16))
    EmbeddedKafka(tmp_path)._prepare()
    assert "cluster.id=-_v7-" in (tmp_path / "logs" / "meta.properties").read_text()


def test_reader_sees_what_is_committed_and_nothing_of_open_or_aborted_transactions(topics: Topics) -> None:
    topic = topics.create("transactions")
    producer = Producer({"bootstrap.servers": topics.bootstrap_servers, "transactional.id": topics.name("writer")})
    producer.init_transactions()
    for value, end in (("committed", producer.commit_transaction), ("aborted", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.flush()
        end()
    producer.begin_transaction()
    producer.produce(topic, "open")
    producer.flush()
    assert [record.value for record in topics.consume(topic)] == [b"committed"]
    producer.commit_transaction()
    assert [record.value for record in topics.consume(topic, count=2)] == [b"committed", b"open"]


def test_records_come_back_as_they_were_written(topics: Topics) -> None:
    topic = topics.create("records", partitions=3, settings={"message.timestamp.type": "LogAppendTime"})
    topics.produce(topic, [(f"key-{number}", f"value-{number}") for number in range(30)], headers={"kind": "test"})
    topics.produce(topic, [(None, None)], partition=2)
    records = topics.consume(topic, count=31)
    written = {(f"key-{number}".encode(), f"value-{number}".encode()) for number in range(30)}
    assert {(record.key, record.value) for record in records} == written | {(None, None)}
    assert {record.partition for record in records} == {0, 1, 2}
    assert all(record.headers == [("kind", b"test")] for record in records if record.key)


def test_value_over_a_mebibyte_reaches_a_topic(topics: Topics) -> None:
    topic = topics.create("large")
    topics.produce(topic, [("k", b"x" * (2 * 1024 * 1024))])
    (record,) = topics.consume(topic)
    assert record.value is not None
    assert len(record.value) == 2 * 1024 * 1024


def test_waiting_for_records_that_do_not_come_tells_how_many_did(topics: Topics) -> None:
    topic = topics.create("short")
    topics.produce(topic, [("k", "only")])
    with pytest.raises(TimeoutError, match="1 committed records came in time, 2 were waited for"):
        topics.consume(topic, count=2, timeout=1.0)


def test_reading_a_topic_that_does_not_exist_is_an_error(topics: Topics) -> None:
    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC_OR_PART"):
        topics.consume(topics.name("nowhere"))


def test_topics_go_with_their_test(embedded_kafka: EmbeddedKafka) -> None:
    admin = AdminClient({"bootstrap.servers": embedded_kafka.bootstrap_servers})
    with Topics(embedded_kafka.bootstrap_servers) as first, Topics(embedded_kafka.bootstrap_servers) as second:
        gone, kept = first.create("same"), second.create("same")
        assert gone != kept
        first.delete_all()
        assert eventually(lambda: gone not in admin.list_topics(timeout=WAIT_SECONDS).topics)
        assert kept in admin.list_topics(timeout=WAIT_SECONDS).topics


def test_topic_that_nobody_created_is_not_made_by_writing_to_it(topics: Topics) -> None:
    admin = AdminClient({"bootstrap.servers": topics.bootstrap_servers})
    producer = Producer({"bootstrap.servers": topics.bootstrap_servers, "message.timeout.ms": 1000})
    producer.produce(topics.name("nobody"), "value")
    producer.flush(WAIT_SECONDS)
    assert topics.name("nobody") not in admin.list_topics(timeout=WAIT_SECONDS).topics

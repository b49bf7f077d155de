"""Runs the systems of the comparison over one log, one after the other, and holds each result against the oracle.

    python -m benchmarks.peers.comparison --events 100000 --runs 1

Called by ``benchmarks.suite`` too. The limit is a raw reader of the same log.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from benchmarks.cluster import committed, configured, offsets_of, quiet_admin
from benchmarks.event_log import SKEWS, EventLog, drop_topics, make_load, make_topic, write_log
from benchmarks.peers.job import Job
from benchmarks.peers.oracle import Oracle, Totals
from benchmarks.peers.systems import SYSTEMS, System
from benchmarks.program import ROOT, Program
from benchmarks.rows import Row, row, show
from benchmarks.watched import Measured, watch
from stream.contracts.topics import COMPACTION
from stream.embedded.kafka import EmbeddedKafka

WORKLOAD: Final = "simple job"
RAW_READER: Final = "raw reader"
_COMPACTED: Final = {"cleanup.policy": "compact", **COMPACTION}
_READ_BATCH: Final = 10_000


def checked_run(kafka: EmbeddedKafka, log: EventLog, oracle: Oracle, system: System, run: str) -> Measured:
    """One run of one system.

    Raises:
        WrongResult: its state or its summaries are not the oracle's.
        Ended: its program ended by itself.
    """
    configuration, _ = configured(kafka.bootstrap_servers)
    admin = quiet_admin(kafka.bootstrap_servers)
    with tempfile.TemporaryDirectory() as folder:
        group = f"{system.name.lower().replace(' ', '-')}-{run}"
        job = Job(kafka.bootstrap_servers, group, log.topic, f"{group}-summaries", log.partitions, Path(folder))
        make_topic(admin, job.summaries, log.partitions)
        make_topic(admin, f"{group}-dead-letters", log.partitions)
        if not system.makes_changelog:
            make_topic(admin, system.changelog(job), log.partitions, _COMPACTED)
        offsets = offsets_of(configuration, group)
        with Program(system.name, system.command(job), job.environ(), job.folder / "program.log") as program:

            def folded() -> int:
                return sum(committed(offsets, configuration, log.topic))

            measured = watch(folded, [program.pid], kafka.pid, log.load.events, program.check)
        states: dict[str, Totals] = {}
        for key, value in read_topic(kafka.bootstrap_servers, system.changelog(job)):
            if (decoded := system.decode(key, value)) is not None:
                states[decoded[0]] = decoded[1]
        oracle.check(states, [value for _, value in read_topic(kafka.bootstrap_servers, job.summaries)])
        drop_topics(admin, [job.summaries, f"{group}-dead-letters", system.changelog(job)])
    return measured


def read_topic(bootstrap_servers: str, topic: str) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of every committed record of a topic, in order of each partition; tombstones are left out."""
    for message in read_messages(bootstrap_servers, topic):
        if (value := message.value()) is not None:
            yield message.key() or b"", value


def read_messages(bootstrap_servers: str, topic: str) -> Iterator[Message]:
    """Every committed record of a topic, in order of each partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "read-back",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        unread = set(partitions)
        while unread:
            for message in consumer.consume(_READ_BATCH, 0.1):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(message.partition() or 0)
    finally:
        consumer.close()


def raw_run(kafka: EmbeddedKafka, log: EventLog) -> Measured:
    """The limit: one reader that does nothing with what it reads."""
    job = Job(kafka.bootstrap_servers, "raw-reader", log.topic, "", log.partitions, Path())
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.raw_reader", str(log.load.events)],
        env={**os.environ, **job.environ()},
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    figures = json.loads(printed)
    events = figures["events"]
    return Measured(events / figures["seconds"], figures["cpu_seconds"] / events * 1e6, figures["peak_rss_mib"])


def compare(
    kafka: EmbeddedKafka, skew: str, customers: int, events: int, runs: int, systems: Sequence[System]
) -> list[Row]:
    """Every system and the raw reader on the same load, in turns, so that what else the machine does hits all alike."""
    configuration, _ = configured(kafka.bootstrap_servers)
    admin = quiet_admin(kafka.bootstrap_servers)
    logs: dict[int, tuple[EventLog, Oracle]] = {}
    for count in sorted({int(events * system.share) for system in systems} | {events}):
        oracle = Oracle()
        load = make_load(skew, customers, count)
        logs[count] = write_log(admin, configuration, f"simple-{skew}-{count}", load, oracle.see), oracle
    results: dict[str, list[Measured]] = {RAW_READER: [], **{system.name: [] for system in systems}}
    for number in range(runs):
        results[RAW_READER].append(raw_run(kafka, logs[events][0]))
        for system in systems:
            log, oracle = logs[int(events * system.share)]
            results[system.name].append(checked_run(kafka, log, oracle, system, f"{skew}-{number}"))
    drop_topics(admin, [log.topic for log, _ in logs.values()])
    rows = [
        row(WORKLOAD, RAW_READER, "none", results[RAW_READER], load=skew, customers=customers, events=events, store="")
    ]
    for system in systems:
        count = int(events * system.share)
        measured = results[system.name]
        rows.append(
            row(
                WORKLOAD,
                system.name,
                system.guarantee,
                measured,
                load=skew,
                customers=customers,
                events=count,
                store=system.store,
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--load", choices=SKEWS, nargs="+", default=list(SKEWS))
    parser.add_argument("--system", choices=[one.name for one in SYSTEMS], nargs="+", default=None)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    systems = [one for one in SYSTEMS if arguments.system is None or one.name in arguments.system]
    with EmbeddedKafka() as kafka:
        for skew in arguments.load:
            list(show(compare(kafka, skew, arguments.customers, arguments.events, arguments.runs, systems)))


if __name__ == "__main__":
    main()

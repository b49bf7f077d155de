"""The whole fold of the role `profiles` on Tidemark and on Kafka Streams, in turns over one log.

    python -m benchmarks.peers.whole_fold --load zipf uniform --mix clickstream busy --events 1000000 --runs 3

Each run's states, score requests and dead letters are held against the straight fold (``straight_fold``); the limit is
a raw reader. Called by ``benchmarks.suite`` too. Both commit as the shipped configuration says for a backlog.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks import throughput
from benchmarks.cluster import committed, configured, offsets_of, quiet_admin
from benchmarks.event_log import MIXES, SKEWS, EventLog, drop_topics, make_load, make_topic, write_log
from benchmarks.peers.comparison import RAW_READER, raw_run, read_messages, read_topic
from benchmarks.peers.environments import kafka_streams_classpath
from benchmarks.peers.job import Job
from benchmarks.peers.straight_fold import Found, Refusal, StraightFold
from benchmarks.program import Program
from benchmarks.rows import Row, row, show
from benchmarks.watched import Measured, watch
from stream.contracts import topics
from stream.contracts.dead_letters import read_verdict
from stream.contracts.topics import TopicNames
from stream.embedded.java import find_java
from stream.embedded.kafka import EmbeddedKafka
from stream.engine.position import HEADER_BYTES, POSITION_KEY
from stream.profiles.settings import ProfileSettings

WORKLOAD: Final = "whole fold beside Kafka Streams"
KAFKA_STREAMS: Final = "Kafka Streams"
GUARANTEE: Final = "exactly once"
EVENTS: Final = 1_000_000
"""Fewer, and Tidemark is done before it has made three commits."""
CUSTOMERS: Final = 100_000
_NO_TICK: Final = b""
"""Key of the records that move the time of ``decisions``, which the port leaves out."""


class Port:
    """One run of the port on Kafka Streams over one log, with topics of its own.

    Args:
        settings: by which it folds.
        run: its application id, and what the names of its topics begin with.
    """

    def __init__(self, kafka: EmbeddedKafka, log: EventLog, settings: ProfileSettings, run: str) -> None:
        configuration, _ = configured(kafka.bootstrap_servers)
        self._kafka, self._configuration = kafka, configuration
        self._log, self._settings, self._run = log, settings, run
        self._admin = quiet_admin(kafka.bootstrap_servers)
        self._offsets = offsets_of(configuration, run)
        self._job = Job(kafka.bootstrap_servers, run, log.topic, "", log.partitions, Path())
        self.requests = f"{run}-score-requests"
        self.dead_letters = f"{run}-dead-letters"

    @contextmanager
    def running(self) -> Iterator[Program]:
        """The port as a process, while the block lasts."""
        # Their settings too: records of the time of their events, long ago, would else be deleted for their age.
        for name, like in ((self.requests, topics.SCORE_REQUESTS), (self.dead_letters, topics.DEAD_LETTERS)):
            make_topic(self._admin, name, self._log.partitions, topics.TOPICS[like].settings())
        with tempfile.TemporaryDirectory() as folder:
            command = [f"{find_java()}", "-Xmx2g", "-cp", kafka_streams_classpath(), "WholeFold"]
            job = self._job._replace(folder=Path(folder))
            with Program(KAFKA_STREAMS, command, {**job.environ(), **self._variables()}, job.folder / "log") as program:
                yield program

    def _variables(self) -> Mapping[str, str]:
        return {
            "BENCH_COMMIT_MS": f"{self._configuration.engine.backlog_commit_interval_ms}",
            "BENCH_PROFILES": msgspec.json.encode(self._settings).decode(),
            "BENCH_REQUESTS": self.requests,
            "BENCH_DEAD_LETTERS": self.dead_letters,
        }

    def folded(self) -> int:
        """Events that are committed."""
        return sum(committed(self._offsets, self._configuration, self._log.topic))

    def found(self) -> Found:
        """What it has made of the log by now."""
        servers = self._kafka.bootstrap_servers
        states = dict(read_topic(servers, self._job.changelog))
        return Found(states, _values(servers, self.requests), _refused(servers, self.dead_letters))

    def drop(self) -> None:
        """Delete its topics."""
        drop_topics(self._admin, [self.requests, self.dead_letters, self._job.changelog])


def port_run(kafka: EmbeddedKafka, log: EventLog, straight: StraightFold, run: str) -> Measured:
    """One run of the port.

    Raises:
        WrongResult: it has not made of the log what the straight fold makes.
        Ended: its program ended by itself.
    """
    configuration, _ = configured(kafka.bootstrap_servers)
    port = Port(kafka, log, configuration.profiles, run)
    with port.running() as program:
        measured = watch(port.folded, [program.pid], kafka.pid, log.load.events, program.check)
    straight.check(port.found(), exact=False)
    port.drop()
    return measured


def tidemark_run(kafka: EmbeddedKafka, log: EventLog, straight: StraightFold, run: str) -> Measured:
    """One run of the shipped role; raises as ``port_run`` does."""

    def check(names: TopicNames) -> None:
        servers = kafka.bootstrap_servers
        states = {
            key: framed[HEADER_BYTES:]
            for key, framed in read_topic(servers, names.changelog(throughput.ROLE))
            if key != POSITION_KEY
        }
        requests = _values(servers, names.physical(topics.SCORE_REQUESTS))
        straight.check(Found(states, requests, _refused(servers, names.physical(topics.DEAD_LETTERS))), exact=True)

    return throughput.measure(kafka, log, 1, "memory", run, check)


def straight_fold(kafka: EmbeddedKafka, log: EventLog, settings: ProfileSettings) -> StraightFold:
    """The oracle, with the whole log seen."""
    straight = StraightFold(settings)
    for message in read_messages(kafka.bootstrap_servers, log.topic):
        straight.see(message)
    return straight


def _values(servers: str, topic: str) -> Iterator[bytes]:
    return (value for key, value in read_topic(servers, topic) if key != _NO_TICK)


def _refused(servers: str, topic: str) -> Iterator[Refusal]:
    for message in read_messages(servers, topic):
        headers: Any = message.headers() or ()
        yield Refusal(message.key() or b"", message.value() or b"", read_verdict(headers).code)


def compare(kafka: EmbeddedKafka, skew: str, mix: str, customers: int, events: int, runs: int) -> list[Row]:
    """The raw reader, Tidemark and Kafka Streams on one load, in turns."""
    configuration, _ = configured(kafka.bootstrap_servers)
    admin = quiet_admin(kafka.bootstrap_servers)
    load = make_load(skew, customers, events, mix)
    log = write_log(admin, configuration, f"whole-fold-{mix}-{skew}-{events}", load)
    straight = straight_fold(kafka, log, configuration.profiles)
    results: dict[str, list[Measured]] = {RAW_READER: [], throughput.SYSTEM: [], KAFKA_STREAMS: []}
    for number in range(runs):
        run = f"{mix}-{skew}-{number}"
        results[RAW_READER].append(raw_run(kafka, log))
        results[throughput.SYSTEM].append(tidemark_run(kafka, log, straight, f"tidemark-{run}"))
        results[KAFKA_STREAMS].append(port_run(kafka, log, straight, f"kafka-streams-{run}"))
    drop_topics(admin, [log.topic])
    return [
        row(
            WORKLOAD,
            system,
            "none" if system == RAW_READER else GUARANTEE,
            measured,
            load=skew,
            mix=mix,
            customers=customers,
            events=events,
            store="" if system == RAW_READER else "memory",
        )
        for system, measured in results.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--load", choices=SKEWS, nargs="+", default=list(SKEWS))
    parser.add_argument("--mix", choices=MIXES, nargs="+", default=list(MIXES))
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with EmbeddedKafka() as kafka:
        for mix in arguments.mix:
            for skew in arguments.load:
                list(show(compare(kafka, skew, mix, arguments.customers, arguments.events, arguments.runs)))


if __name__ == "__main__":
    main()

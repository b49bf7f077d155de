"""How many events a second the profiles role folds, exactly once, with the shipped configuration and the whole fold.

    python -m benchmarks.throughput --customers 100000 --workers 1 2 4

A log is written once and folded from the beginning by each run, with topics of its own. Two loads, each event with one
item: a few customers bring most events (Zipf), or every event is another customer's (uniform), which is the worst case:
each then reads and writes a whole state. Called by ``benchmarks.suite`` too.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.cluster import committed, configured, make_topics, members, offsets_of, quiet_admin, worker_process
from benchmarks.event_log import MIXES, SKEWS, EventLog, drop_topics, make_load, write_log
from benchmarks.rows import Row, row, show
from benchmarks.watched import Measured, watch
from stream.contracts.topics import EVENTS, TopicNames
from stream.embedded.kafka import EmbeddedKafka
from stream.operations.topics import wanted_topics

WORKLOAD: Final = "profiles, whole fold"
SYSTEM: Final = "Tidemark"
GUARANTEE: Final = "exactly once"
ROLE: Final = "profiles"
STORES: Final = ("memory", "rocksdb")


def measure(
    kafka: EmbeddedKafka,
    log: EventLog,
    workers: int,
    store: str,
    run: str,
    check: Callable[[TopicNames], None] = lambda names: None,
) -> Measured:
    """One run: workers with empty stores fold the whole log.

    Args:
        check: is called with the names of the run's topics while these are there, and raises where one is wrong.
    """
    configuration, environ = configured(
        kafka.bootstrap_servers,
        TIDEMARK__TOPICS__PREFIX=f"{run}.",
        TIDEMARK__TOPICS__NAMES=json.dumps({EVENTS: log.topic}),
        TIDEMARK__ENGINE__STORE=store,
    )
    make_topics(configuration)
    names = configuration.topics.topic_names()
    admin, group = quiet_admin(kafka.bootstrap_servers), names.group(ROLE)
    offsets = offsets_of(configuration, group)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        running = [
            stack.enter_context(worker_process(ROLE, environ, Path(folder), "--instance", f"worker-{number}"))
            for number in range(workers)
        ]

        def alive() -> None:
            for worker in running:
                worker.check()

        joined = [False]

        def folded() -> int:
            joined[0] = joined[0] or members(admin, group) == workers
            return sum(committed(offsets, configuration, log.topic)) if joined[0] else 0

        measured = watch(folded, [worker.pid for worker in running], kafka.pid, log.load.events, alive)
    check(names)
    own = [topic.name for topic in wanted_topics(configuration.topics) if topic.name != log.topic]
    drop_topics(admin, own)
    return measured


def measure_all(
    kafka: EmbeddedKafka,
    skew: str,
    customers: int,
    events: int,
    runs: int,
    *,
    workers: Sequence[int] = (1,),
    stores: Sequence[str] = ("memory",),
    mix: str = "busy",
) -> Iterator[Row]:
    """A row for each number of workers and each store, over one log."""
    configuration, _ = configured(kafka.bootstrap_servers)
    admin = quiet_admin(kafka.bootstrap_servers)
    name = f"events-{mix}-{skew}-{customers}-{events}"
    log = write_log(admin, configuration, name, make_load(skew, customers, events, mix))
    for count in workers:
        for store in stores:
            measured = [
                measure(kafka, log, count, store, f"{mix}-{skew}-{customers}-{count}-{store}-{number}")
                for number in range(runs)
            ]
            yield row(
                WORKLOAD,
                SYSTEM,
                GUARANTEE,
                measured,
                load=skew,
                customers=customers,
                events=events,
                workers=count,
                store=store,
            )
    drop_topics(admin, [log.topic])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=600_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--store", choices=STORES, nargs="+", default=["memory"])
    parser.add_argument("--load", choices=SKEWS, nargs="+", default=list(SKEWS))
    parser.add_argument("--mix", choices=MIXES, nargs="+", default=list(MIXES))
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with EmbeddedKafka() as kafka:
        for mix in arguments.mix:
            print(f"mix {mix}, {arguments.events:,} events a run, {arguments.runs} runs")
            for skew in arguments.load:
                rows = measure_all(
                    kafka,
                    skew,
                    arguments.customers,
                    arguments.events,
                    arguments.runs,
                    workers=arguments.workers,
                    stores=arguments.store,
                    mix=mix,
                )
                list(show(rows))


if __name__ == "__main__":
    main()

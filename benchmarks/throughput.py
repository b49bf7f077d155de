"""How many events a second the profiles role folds, exactly once, with the shipped configuration.

A log is written first; then workers fold it from the beginning. Measured from the moment at which all of them have
joined and committed to the moment at which nearly all is folded, so that neither start-up nor the last, small commits
count. Two loads over the same number of customers, each event with one item: a few customers bring most events (Zipf),
or every event is another customer's (uniform), which is the worst case: each then reads and writes a whole state.
"""

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient

from benchmarks.cluster import (
    committed,
    configured,
    cpu_seconds,
    make_topics,
    members,
    peak_rss_mib,
    produce,
    worker_process,
)
from stream.configuration.clients import client_properties
from stream.contracts.codec import encode
from stream.contracts.topics import EVENTS
from stream.embedded.kafka import EmbeddedKafka
from stream.operations.simulate import BUSY, CLICKSTREAM, Load, synthetic

GROUP: Final = "tidemark.profiles"
SKEWS: Final = {"zipf": 1.1, "uniform": 0.0}
MIXES: Final = {"clickstream": CLICKSTREAM, "busy": BUSY}
ENOUGH: Final = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=600_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--load", choices=SKEWS, nargs="+", default=list(SKEWS))
    parser.add_argument("--mix", choices=MIXES, nargs="+", default=list(MIXES))
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    engine = configured("127.0.0.1:9092")[0].engine
    print(
        f"commit_interval_ms {engine.commit_interval_ms}  store {engine.store}  events {arguments.events:,}  "
        f"customers {arguments.customers:,}  runs {arguments.runs}"
    )
    print(f"{'mix':<12}{'load':<9}{'workers':>7}{'events/s':>10}{'range':>18}{'CPU us/event':>14}{'MiB':>6}")
    for mix in arguments.mix:
        for load in arguments.load:
            for workers in arguments.workers:
                runs = [
                    measure(
                        Load(
                            customers=arguments.customers,
                            events=arguments.events,
                            seed=seed,
                            skew=SKEWS[load],
                            most_lines=1,
                            mix=MIXES[mix],
                        ),
                        workers,
                    )
                    for seed in range(arguments.runs)
                ]
                rates, costs, sizes = zip(*runs, strict=True)
                print(
                    f"{mix:<12}{load:<9}{workers:>7}{statistics.median(rates):>10,.0f}"
                    f"{f'{min(rates):,.0f}..{max(rates):,.0f}':>18}{statistics.median(costs):>14.1f}{max(sizes):>6,.0f}",
                    flush=True,
                )


def measure(load: Load, workers: int) -> tuple[float, float, float]:
    """One run on a broker of its own: events/s, CPU microseconds an event, and peak memory in MiB of all workers."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka() as kafka, ExitStack() as stack:
        configuration, environ = configured(kafka.bootstrap_servers)
        make_topics(configuration)
        topic = configuration.topics.topic_names().physical(EVENTS)
        produce(configuration, topic, ((event.customer_id.encode(), encode(event)) for event in synthetic(load)))
        admin = AdminClient(client_properties(configuration.kafka))
        running = [
            stack.enter_context(worker_process("profiles", environ, Path(folder), "--instance", f"worker-{number}"))
            for number in range(workers)
        ]

        def folded() -> int:
            if any(worker.poll() is not None for worker in running):
                raise RuntimeError((Path(folder) / "profiles.log").read_text()[-3000:])
            return sum(committed(admin, configuration, GROUP, topic))

        while members(admin, GROUP) < workers or folded() == 0:
            time.sleep(0.02)
        first, began = folded(), time.monotonic()
        used = sum(cpu_seconds(worker.pid) for worker in running)
        while (now := folded()) < ENOUGH * load.events:
            time.sleep(0.05)
        seconds = time.monotonic() - began
        used = sum(cpu_seconds(worker.pid) for worker in running) - used
        if first > load.events / 2:
            raise RuntimeError(
                f"half of the log was folded before all workers were there: give more than {load.events:,}"
            )
        count = now - first
        return count / seconds, used / count * 1e6, sum(peak_rss_mib(worker.pid) for worker in running)


if __name__ == "__main__":
    main()

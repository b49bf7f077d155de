"""How many events a second one profiles worker folds, exactly once, with the shipped configuration.

A log is written first; then one worker folds it from the beginning. Measured from its first commit to its last, with
the events of the first commit taken off, so that start-up does not count.
"""

import argparse
import tempfile
import time
from pathlib import Path

from confluent_kafka.admin import AdminClient

from benchmarks.cluster import (
    committed,
    configured,
    cpu_seconds,
    make_topics,
    peak_rss_mib,
    produce,
    worker_process,
)
from stream.configuration.clients import client_properties
from stream.contracts.codec import encode
from stream.contracts.topics import EVENTS
from stream.embedded.kafka import EmbeddedKafka
from stream.operations.simulate import Load, synthetic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    engine = configured("127.0.0.1:9092")[0].engine
    print(
        f"commit_interval_ms {engine.commit_interval_ms}  store {engine.store}  events {arguments.events:,}  "
        f"customers {arguments.customers:,}"
    )
    for run in range(arguments.runs):
        figures = measure(arguments.events, arguments.customers, seed=run)
        print("  ".join(f"{name} {value:,.1f}" for name, value in figures.items()), flush=True)


def measure(events: int, customers: int, seed: int) -> dict[str, float]:
    """One run on a broker of its own: events/s, CPU microseconds an event, peak memory in MiB."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka() as kafka:
        configuration, environ = configured(kafka.bootstrap_servers)
        make_topics(configuration)
        topic = configuration.topics.topic_names().physical(EVENTS)
        load = synthetic(Load(customers=customers, events=events, seed=seed))
        produce(configuration, topic, ((event.customer_id.encode(), encode(event)) for event in load))
        admin = AdminClient(client_properties(configuration.kafka))
        with worker_process("profiles", environ, Path(folder)) as worker:

            def folded() -> int:
                if worker.poll() is not None:
                    raise RuntimeError((Path(folder) / "profiles.log").read_text()[-3000:])
                return sum(committed(admin, configuration, "tidemark.profiles", topic))

            while (first := folded()) == 0:
                time.sleep(0.02)
            began, used = time.monotonic(), cpu_seconds(worker.pid)
            while (now := folded()) < events:
                time.sleep(0.1)
            seconds, used = time.monotonic() - began, cpu_seconds(worker.pid) - used
            return {
                "events_per_second": (now - first) / seconds,
                "cpu_us_per_event": used / (now - first) * 1e6,
                "peak_rss_mib": peak_rss_mib(worker.pid),
                "seconds": seconds,
            }


if __name__ == "__main__":
    main()

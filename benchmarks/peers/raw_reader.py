"""The limit: how fast confluent-kafka hands over the records of the log, with nothing done to them.

Reads the whole log again and again for some seconds, with the fetch settings that the engine has, and prints one line
of JSON. Started as a process of its own by ``benchmarks.peers.comparison``.
"""

import json
import os
import sys
import time
from typing import Final

from confluent_kafka import Consumer, Message, TopicPartition

from benchmarks.cluster import peak_rss_mib
from benchmarks.peers.job import Job

LEAST_S: Final = 3.0
_BATCH: Final = 5_000


def main() -> None:
    job, events = Job.from_environ(), int(sys.argv[1])
    consumer = Consumer(
        {
            "bootstrap.servers": job.bootstrap_servers,
            "group.id": job.group,
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 100_000,
            "fetch.wait.max.ms": 50,
        }
    )
    read_log(consumer, job, events)
    count, began, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < LEAST_S:
        read_log(consumer, job, events)
        count += events
    figures = {
        "events": count,
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - used,
        "peak_rss_mib": peak_rss_mib(os.getpid()),
    }
    consumer.close()
    print(json.dumps(figures))


def read_log(consumer: Consumer, job: Job, events: int) -> None:
    """Read the log from its beginning to its end once."""
    consumer.assign([TopicPartition(job.events, number, 0) for number in range(job.partitions)])
    read = 0
    while read < events:
        for message in consumer.consume(min(_BATCH, events - read), 0.1):
            _touch(message)
            read += 1


def _touch(message: Message) -> tuple[bytes | None, bytes | None]:
    """What every reader does at least."""
    return message.key(), message.value()


if __name__ == "__main__":
    main()

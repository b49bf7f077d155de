"""From the broker's append of an event to a read-committed poll that returns the alert, by load and commit interval.

    python -m benchmarks.latency --share 0.5 --commit-interval-ms 100

Kafka, Triton and one worker of each role on this machine, the producer and the reader of alerts too. The highest rate
is what the profiles role commits while events are produced as fast as they can be; loads are shares of it. Visitors
browse, and customers at risk come back one by one and empty a cart, which asks for a score at once. Called by
``benchmarks.suite`` too.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from msgspec.structs import replace

from benchmarks.at_risk import at_risk, histories, return_visit
from benchmarks.cluster import SHIPPED, committed, log_ends, offsets_of
from stream.configuration.clients import client_properties
from stream.configuration.load import load
from stream.contracts import topics
from stream.contracts.codec import encode
from stream.contracts.events import Event, Item
from stream.operations.brokers import make_producer
from stream.operations.observe import AlertObserver, percentile
from stream.operations.stack import Stack

SHARES: Final = (0.1, 0.5, 0.9)
COMMIT_INTERVALS_MS: Final = (10, 50, 100)
VISITORS: Final = 50_000
_INTERVAL: Final = "TIDEMARK__ENGINE__COMMIT_INTERVAL_MS"
_FLAT_OUT_S: Final = 15.0
_SETTLE_S: Final = 3.0
"""For what is behind the profiles role, scores and alerts."""
_PATIENCE_S: Final = 600.0


class Latency(msgspec.Struct, kw_only=True):
    """One load at one commit interval.

    Attributes:
        share: of the highest rate.
        events_per_second: as they were produced.
        by_model: alerts whose reasons the model gave.
    """

    share: float
    events_per_second: float
    commit_interval_ms: int
    alerts: int
    by_model: int
    p50_ms: float
    p99_ms: float
    p999_ms: float


@contextmanager
def running_stack(commit_interval_ms: int) -> Iterator[Stack]:
    """Everything with the shipped configuration but for the commit interval."""
    before = os.environ.get(_INTERVAL)
    os.environ[_INTERVAL] = str(commit_interval_ms)
    try:
        with tempfile.TemporaryDirectory() as folder:
            configuration = replace(load(SHIPPED, os.environ).configuration, data_dir=folder)
            with Stack(configuration, SHIPPED, Path(folder), say=lambda line: None) as stack:
                stack.start()
                yield stack
    finally:
        if before is None:
            del os.environ[_INTERVAL]
        else:
            os.environ[_INTERVAL] = before


class Traffic:
    """Visits produced to a running stack."""

    def __init__(self, stack: Stack) -> None:
        self._configuration = stack.configuration
        names = stack.configuration.topics.topic_names()
        self._topic, self._dead_letters = names.physical(topics.EVENTS), names.physical(topics.DEAD_LETTERS)
        self._offsets = offsets_of(stack.configuration, names.group("profiles"))
        self._producer = make_producer(stack.configuration.kafka, **{"linger.ms": 2})
        self._admin = AdminClient(client_properties(stack.configuration.kafka))
        self._draw = random.Random(2)
        self.sent = 0

    def folded(self) -> int:
        """Records that the profiles role has committed. Ticks, which it writes itself, are among them."""
        return sum(committed(self._offsets, self._configuration, self._topic))

    def lag(self) -> int:
        """Records of the log that it has not committed yet."""
        return sum(log_ends(self._admin, self._configuration, self._topic)) - self.folded()

    def dead_letters(self) -> int:
        """Records that were refused."""
        return sum(log_ends(self._admin, self._configuration, self._dead_letters))

    def flat_out(self, seconds: float) -> float:
        """The highest rate: events a second that are committed while they are produced as fast as they can be."""
        began, first, end = time.monotonic(), self.folded(), time.monotonic() + seconds
        while time.monotonic() < end:
            self.visit()
        rate = (self.folded() - first) / (time.monotonic() - began)
        self.settle()
        return rate

    def settle(self) -> None:
        """Wait until everything is folded.

        Raises:
            RuntimeError: it was not.
        """
        self._producer.flush()
        patience = time.monotonic() + _PATIENCE_S
        while (lag := self.lag()) > 0:
            if time.monotonic() > patience:
                raise RuntimeError(f"{lag:,} records are not folded after {_PATIENCE_S:.0f} s")
            time.sleep(0.05)
        time.sleep(_SETTLE_S)

    def at_rate(self, rate: float, seconds: float, returning: Sequence[str] = ()) -> float:
        """Visits at an even rate, and between them the return of those at risk. Returns the rate that was reached."""
        began, first, returned = time.monotonic(), self.sent, 0
        total = int(rate * seconds)
        while (done := self.sent - first) < total:
            elapsed = time.monotonic() - began
            if done >= elapsed * rate:
                self._producer.poll(0.001)
                continue
            if returned < len(returning) and returned < done / total * len(returning):
                for event in return_visit(returning[returned], int(time.time() * 1000)):
                    self.produce(event)
                returned += 1
            self.visit()
        self._producer.flush()
        return (self.sent - first) / (time.monotonic() - began)

    def visit(self) -> None:
        visitor, item = self._draw.randrange(VISITORS), self._draw.randrange(500)
        now = int(time.time() * 1000)
        seen = [Item(item_id=f"p{item}")]
        self.produce(
            Event(
                event_id=f"v{self.sent}", type="browse", time=now, customer_id=f"v{visitor}", items=seen, simulated=True
            )
        )

    def produce(self, event: Event) -> None:
        while True:
            try:
                self._producer.produce(self._topic, encode(event), event.customer_id.encode())
                self.sent += 1
                return
            except BufferError:
                self._producer.poll(0.1)


def load_customers(stack: Stack, traffic: Traffic, count: int) -> list[str]:
    """Write the catalogue and the histories of customers at risk. Returns their names."""
    known, items = histories()
    producer: Producer = make_producer(stack.configuration.kafka)
    catalogue = stack.configuration.topics.topic_names().physical(topics.CATALOGUE)
    for item in items.values():
        producer.produce(catalogue, encode(item), item.item_id.encode())
    producer.flush()
    chosen = at_risk(stack.configuration, known, items, int(time.time() * 1000), count)
    for copy in chosen:
        for event in copy:
            traffic.produce(event)
    traffic.settle()
    return [copy[0].customer_id for copy in chosen]


def measure(highest: float, share: float, commit_interval_ms: int, seconds: float, alerts: int) -> Latency:
    """One load on parts of its own.

    Raises:
        RuntimeError: no alert came.
    """
    with running_stack(commit_interval_ms) as stack:
        traffic = Traffic(stack)
        names = load_customers(stack, traffic, alerts)
        with AlertObserver(stack.configuration) as observer:
            rate = traffic.at_rate(share * highest, seconds, names)
            traffic.settle()
            seen = [alert for alert in observer.seen() if alert.status == "raised"]
    if not seen:
        raise RuntimeError(f"no alert came at {rate:,.0f} events/s: see whether the model's scores have changed")
    latencies = [alert.latency_ms for alert in seen]
    p50, p99, p999 = (percentile(latencies, wanted) for wanted in (0.5, 0.99, 0.999))
    return Latency(
        share=share,
        events_per_second=rate,
        commit_interval_ms=commit_interval_ms,
        alerts=len(seen),
        by_model=sum(alert.reasons_method != "rule" for alert in seen),
        p50_ms=p50,
        p99_ms=p99,
        p999_ms=p999,
    )


def measure_all(
    shares: Sequence[float], commit_intervals_ms: Sequence[int], seconds: float, alerts: int, highest: float = 0.0
) -> Iterator[Latency]:
    """Every load at every commit interval. ``highest`` 0.0 measures the highest rate first, with the longest one."""
    if not highest:
        with running_stack(max(commit_intervals_ms)) as stack:
            highest = Traffic(stack).flat_out(_FLAT_OUT_S)
    for commit_interval_ms in commit_intervals_ms:
        for share in shares:
            yield measure(highest, share, commit_interval_ms, seconds, alerts)


HEADER: Final = (
    f"{'load':>5}{'events/s':>10}{'commit ms':>11}{'alerts':>8}{'by model':>10}{'p50 ms':>8}{'p99':>8}{'p99.9':>8}"
)


def line(one: Latency) -> str:
    """A load in 80 columns."""
    return (
        f"{one.share:>5.0%}{one.events_per_second:>10,.0f}{one.commit_interval_ms:>11}{one.alerts:>8}"
        f"{one.by_model:>10}{one.p50_ms:>8,.0f}{one.p99_ms:>8,.0f}{one.p999_ms:>8,.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--alerts", type=int, default=700, help="customers at risk who come back")
    parser.add_argument("--rate", type=float, default=0.0, help="the highest rate in events/s, instead of measuring it")
    parser.add_argument("--share", type=float, nargs="+", default=SHARES, help="of the highest rate")
    parser.add_argument("--commit-interval-ms", type=int, nargs="+", default=COMMIT_INTERVALS_MS)
    arguments = parser.parse_args()
    print(HEADER)
    for one in measure_all(
        arguments.share, arguments.commit_interval_ms, arguments.seconds, arguments.alerts, arguments.rate
    ):
        print(line(one), flush=True)


if __name__ == "__main__":
    main()

"""From the start of a worker of the profiles role to its first folded events, with many customers' state to restore.

    python -m benchmarks.restore --customers 1000000

The changelog is written as the role writes it: profiles of customers of the simulated shop, each under many names, with
their timers. Then workers are started: with an empty store, which is restored from the changelog, and with a store on
disk that has everything already. A worker without anything to restore is the base that both are held against.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import msgspec
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.cluster import (
    committed,
    configured,
    cpu_seconds,
    make_topics,
    offsets_of,
    peak_rss_mib,
    produce,
    rss_mib,
    worker_process,
)
from benchmarks.event_log import make_load
from stream.configuration.clients import client_properties, producer_properties
from stream.contracts.codec import encode
from stream.contracts.emission import Origin
from stream.contracts.events import Event
from stream.contracts.partitioning import partition_for
from stream.contracts.times import to_epoch_ms
from stream.contracts.topics import EVENTS
from stream.embedded.kafka import EmbeddedKafka
from stream.engine.position import POSITION_KEY, Position, encode_position, frame
from stream.operations.simulate import synthetic
from stream.profiles import codec, timers
from stream.profiles.fold import FOLD_VERSION, fold
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings
from stream.workers.profiles import ROLE, TIME_GRID_MS, Grid, ProfilesProcessor

TEMPLATES: Final = 2_000
EVENTS_OF_A_TEMPLATE: Final = 30
BASE: Final = "nothing"
CHANGELOG: Final = "changelog"
LOCAL: Final = "local store"
WANTED_FACTOR: Final = 1.3
WANTED_BYTES: Final = 250
"""States in memory are to take at most 1.3 times their encoded bytes and 250 bytes a customer."""
_LOOK_EVERY_S: Final = 0.01
_INSTANCE: Final = "restored"


class Start(msgspec.Struct, kw_only=True):
    """One start of a worker.

    Attributes:
        source: where the state came from.
        store: of ``engine.store``.
        seconds: from the start of the process until every partition has committed an event.
        restore_seconds: of the partition that took longest, as the worker's log says.
        held_mib: what the worker's memory has more than the base's once everything is restored.
    """

    source: str
    store: str
    customers: int
    state_mib: float
    seconds: float
    restore_seconds: float
    cpu_seconds: float
    held_mib: float
    peak_rss_mib: float

    @property
    def wanted_mib(self) -> float:
        """The most that states in memory should take."""
        return WANTED_FACTOR * self.state_mib + WANTED_BYTES * self.customers / 2**20


def templates() -> tuple[list[Profile], int]:
    """Profiles of customers of the simulated shop whose timers lie behind the newest event; and that event's time."""
    settings = ProfileSettings()
    profiles: dict[str, Profile] = {}
    newest = 0
    for event in synthetic(make_load("uniform", TEMPLATES, TEMPLATES * EVENTS_OF_A_TEMPLATE)):
        newest = event.time = to_epoch_ms(event.time)
        folded = fold(profiles.get(event.customer_id), event, newest, Origin("", 0, 0), settings)
        assert folded.profile is not None
        profiles[event.customer_id] = folded.profile
    return [profile for profile in profiles.values() if not 0 < timers.due(profile) <= newest], newest


class Shop:
    """A deployment on an embedded broker, whose customers have state in the changelog and none in a store.

    Attributes:
        state_bytes: of all states, framed.
        base_mib: memory of a worker that has no state.
    """

    def __init__(self, bootstrap_servers: str, prefix: str, customers: int, base_mib: float = 0.0) -> None:
        variables = {"TIDEMARK__TOPICS__PREFIX": prefix}
        self.configuration, self.environ = configured(bootstrap_servers, **variables)
        self.customers = customers
        self.base_mib = base_mib
        self.state_bytes = 0
        names = self.configuration.topics.topic_names()
        self._events, self._changelog, self._group = names.physical(EVENTS), names.changelog(ROLE), names.group(ROLE)
        self._admin = AdminClient(client_properties(self.configuration.kafka))
        self._offsets = offsets_of(self.configuration, self._group)
        self._written = 0
        make_topics(self.configuration)
        profiles, self._newest = templates()
        produce(self.configuration, self._changelog, self._states(profiles))
        self._write_positions()

    def _states(self, profiles: list[Profile]) -> Iterator[tuple[bytes, bytes]]:
        for number, profile in enumerate(islice(cycle(profiles), self.customers)):
            profile.customer_id = f"c{number}"
            value = frame(timers.due(profile), False, codec.encode(profile))
            self.state_bytes += len(value)
            yield profile.customer_id.encode(), value

    def _write_positions(self) -> None:
        configuration, partitions = self.configuration, self.configuration.topics.partitions
        processor = ProfilesProcessor(configuration.topics.topic_names(), configuration.profiles, partitions, "bench")
        shared = processor.encode_shared(Grid(self._newest - self._newest % TIME_GRID_MS))
        position = encode_position(Position(0, self._newest, FOLD_VERSION, shared))
        producer = Producer(producer_properties(configuration.kafka))
        for number in range(partitions):
            producer.produce(self._changelog, position, POSITION_KEY, number)
        producer.flush()
        start = [TopicPartition(self._events, number, 0) for number in range(partitions)]
        wanted = [ConsumerGroupTopicPartitions(self._group, start)]
        self._admin.alter_consumer_group_offsets(wanted)[self._group].result()

    def folded(self) -> int:
        """Events that are committed."""
        return sum(committed(self._offsets, self.configuration, self._events))

    def write_events(self) -> int:
        """One event for a customer of each partition. Returns how many events there are by now."""
        partitions = self.configuration.topics.partitions
        wanted, records = set(range(partitions)), []
        for number in range(100 * partitions):
            name = f"c{number}"
            place = partition_for(name.encode(), partitions)
            if place in wanted:
                wanted.remove(place)
                identity = f"first-{self._written}-{number}"
                event = Event(event_id=identity, type="browse", time=self._newest, customer_id=name)
                records.append((name.encode(), encode(event)))
        self._written += produce(self.configuration, self._events, records)
        return self._written

    def start(self, store: str, source: str, folder: Path) -> Start:
        """Start a worker, and end it when it has committed an event of every partition."""
        enough = self.write_events()
        began = time.monotonic()
        environ = {**self.environ, "TIDEMARK__ENGINE__STORE": store}
        with worker_process(ROLE, environ, folder, "--instance", _INSTANCE) as worker:
            while self.folded() < enough:
                worker.check()
                time.sleep(_LOOK_EVERY_S)
            seconds = time.monotonic() - began
            cpu, held, peak = cpu_seconds(worker.pid), rss_mib(worker.pid), peak_rss_mib(worker.pid)
        restores = [float(found) for found in re.findall(r'"seconds": ([0-9.]+)', (folder / f"{ROLE}.log").read_text())]
        return Start(
            source=source,
            store=store,
            customers=self.customers,
            state_mib=self.state_bytes / 2**20,
            seconds=seconds,
            restore_seconds=max(restores[-self.configuration.topics.partitions :]),
            cpu_seconds=cpu,
            held_mib=held - self.base_mib,
            peak_rss_mib=peak,
        )


def measure(customers: int) -> Iterator[Start]:
    """Every kind of start, once."""
    with EmbeddedKafka() as kafka, tempfile.TemporaryDirectory() as base, tempfile.TemporaryDirectory() as folder:
        nothing = Shop(kafka.bootstrap_servers, "empty.", 0).start("memory", BASE, Path(base))
        yield nothing
        shop = Shop(kafka.bootstrap_servers, "", customers, nothing.held_mib)
        yield shop.start("memory", CHANGELOG, Path(folder))
        yield shop.start("rocksdb", CHANGELOG, Path(folder))
        yield shop.start("rocksdb", LOCAL, Path(folder))


HEADER: Final = (
    f"{'state from':<13}{'store':<9}{'customers':>10}{'MiB':>6}{'first s':>9}{'restore s':>11}{'CPU s':>7}"
    f"{'held':>7}{'peak':>7}"
)


def line(one: Start) -> str:
    """A start in 80 columns."""
    return (
        f"{one.source:<13}{one.store:<9}{one.customers:>10,}{one.state_mib:>6,.0f}{one.seconds:>9.1f}"
        f"{one.restore_seconds:>11.1f}{one.cpu_seconds:>7.1f}{one.held_mib:>7,.0f}{one.peak_rss_mib:>7,.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    arguments = parser.parse_args()
    print(HEADER)
    for one in measure(arguments.customers):
        print(line(one), flush=True)


if __name__ == "__main__":
    main()

"""What benchmarks share: embedded Kafka with Tidemark's topics, worker processes, and figures read from outside.

Figures come from the kernel (CPU, memory) and from the broker (committed offsets), never from the program measured.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from benchmarks.program import Program
from stream.configuration.clients import client_properties, producer_properties
from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.engine.group_offsets import GroupOffsets
from stream.operations.topics import create_topics

_TICKS = os.sysconf("SC_CLK_TCK")
SHIPPED = Path(__file__).resolve().parent.parent / "tidemark.toml"
_PATIENCE_S: Final = 60.0
"""A broker may be kept from answering by what is measured."""
_NO_COORDINATOR_YET: Final = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)
"""What a broker says of the first group that it hears of: it has to create the topic of groups first."""


def configured(bootstrap_servers: str, **variables: str) -> tuple[Configuration, dict[str, str]]:
    """The shipped configuration on the given broker, and the environment that gives it to a worker."""
    environ = {"TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers, **variables}
    return load(SHIPPED, environ).configuration, environ


def quiet_admin(bootstrap_servers: str) -> AdminClient:
    """An AdminClient that says nothing when the broker goes before it."""
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})


def make_topics(configuration: Configuration) -> None:
    create_topics(AdminClient(client_properties(configuration.kafka)), configuration.topics)


def produce(configuration: Configuration, topic: str, records: Iterable[tuple[bytes, bytes]]) -> int:
    """Write records as fast as the broker takes them, and return how many there were."""
    producer = Producer({**producer_properties(configuration.kafka), "linger.ms": 20, "compression.type": "lz4"})
    count = 0
    for key, value in records:
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
    producer.flush()
    return count


def offsets_of(configuration: Configuration, group: str) -> GroupOffsets:
    """For ``committed``: made once, asked often."""
    return GroupOffsets(client_properties(configuration.kafka), group, stable=False)


def committed(offsets: GroupOffsets, configuration: Configuration, topic: str) -> list[int]:
    """Committed offset of each partition; 0 where none is."""
    wanted = [TopicPartition(topic, number) for number in range(configuration.topics.partitions)]
    return [max(found.offset, 0) for found in offsets.committed(wanted, _PATIENCE_S)]


def log_ends(admin: AdminClient, configuration: Configuration, topic: str) -> list[int]:
    """Offset behind the last record of each partition."""
    wanted = {TopicPartition(topic, number): OffsetSpec.latest() for number in range(configuration.topics.partitions)}
    answers = admin.list_offsets(wanted)
    return [answers[partition].result().offset for partition in wanted]


def members(admin: AdminClient, group: str) -> int:
    """How many members the group has that were given partitions; 0 while it settles who gets what."""
    try:
        description = admin.describe_consumer_groups([group])[group].result()
    except KafkaException as error:
        if error.args[0].code() in _NO_COORDINATOR_YET:
            return 0
        raise
    if description.state != ConsumerGroupState.STABLE:
        return 0
    return sum(bool(member.assignment and member.assignment.topic_partitions) for member in description.members)


def worker_process(role: str, environ: Mapping[str, str], folder: Path, *options: str) -> Program:
    """A worker as users start it, with its data in ``folder``."""
    command = [sys.executable, "-m", "stream.cli", "--config", str(SHIPPED), "worker", "--role", role, *options]
    variables = {**environ, "TIDEMARK__DATA_DIR": str(folder)}
    return Program(f"the {role} worker", command, variables, folder / f"{role}.log")


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_rss_mib(pid: int) -> float:
    """The most memory that a process has held."""
    return _status_mib(pid, "VmHWM")


def rss_mib(pid: int) -> float:
    """The memory that a process holds."""
    return _status_mib(pid, "VmRSS")


def _status_mib(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0

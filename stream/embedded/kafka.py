"""A real Kafka broker as a child process: one KRaft node on 127.0.0.1, for the demo, `tidemark up` and tests.

It is the ordinary server with its own storage, so transactions, fencing and compaction are the real ones; only
time-outs that make a single node slow to start or to notice a death are tightened. Not meant to be reached from
another machine.
"""

from __future__ import annotations

import glob
import shutil
import socket
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from stream.embedded.cache import installed
from stream.embedded.java import copy_jars, find_java
from stream.embedded.ports import free_ports, require_free
from stream.embedded.process import StartError, Supervised

KAFKA_VERSION = "4.1.1"
READY_TIMEOUT_SECONDS = 2.0
STOP_TIMEOUT_SECONDS = 15.0

# Values over 1 MiB must reach the processors to become dead letters there, so the broker takes more than its default
# of 1 MiB.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(MAX_MESSAGE_BYTES),
    # The internal topics have one copy, as there is one broker, and few partitions, as each costs files and start-up
    # time.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # The first member of a group need not wait for others, and tests may use short session time-outs.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # A dead client's open transaction is aborted within a second of its time-out, not ten.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # After `kill -9` the controller refuses the broker's return until its old session ends: 9 s by default.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    # The default of 128 MiB would fill a small heap.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
}


class EmbeddedKafka(Supervised):
    """One Kafka broker, alive for the length of a `with` block or from `start()` to `stop()`.

    Parameters
    ----------
    data_dir
        Where topics live. A folder used before is continued; without one, a temporary folder lives as long as this
        object.
    port
        The port clients connect to; a free one is chosen once and kept over restarts when it is not given.
    heap
        The Java heap, in Java's notation.
    settings
        Broker properties over the defaults above and the addresses, by Kafka's names.
    cluster_id
        What the storage is formatted for; brokers of one cluster share it. A new one when it is not given.
    start_timeout
        Seconds until a start has failed.

    Examples
    --------
    >>> with EmbeddedKafka() as kafka:  # doctest: +SKIP
    ...     producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        port: int | None = None,
        *,
        heap: str = "512m",
        settings: Mapping[str, str] | None = None,
        cluster_id: str | None = None,
        start_timeout: float = 90.0,
    ) -> None:
        self.data_dir = Path(data_dir or tempfile.mkdtemp(prefix="tidemark-kafka-")).absolute()
        free_port, self._controller_port = free_ports(2)
        self._port = port or free_port
        self._heap = heap
        self._settings = dict(settings or {})
        self._cluster_id = cluster_id or new_cluster_id()
        super().__init__(
            "the embedded Kafka",
            self.data_dir / "broker.log",
            start_timeout=start_timeout,
            stop_timeout=STOP_TIMEOUT_SECONDS,
            temporary=[] if data_dir else [glob.escape(str(self.data_dir))],
        )

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address for clients, `127.0.0.1:PORT`."""
        return f"127.0.0.1:{self._port}"

    def _prepare(self) -> list[str]:
        require_free(self.name, [self._port, self._controller_port])
        self.data_dir.mkdir(parents=True, exist_ok=True)
        java = [str(find_java()), *self._java_options(install_kafka())]
        logs = self.data_dir / "logs"
        if not logs.exists():
            self._format_storage(java, logs)
        return [*java, "kafka.Kafka", str(self._write_properties(logs))]

    def _is_ready(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=READY_TIMEOUT_SECONDS).close()
        except OSError:
            return False
        # The port answers before the coordinators do; asking for a group makes the broker find its coordinator first.
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            described = admin.describe_consumer_groups(["tidemark.ready"], request_timeout=READY_TIMEOUT_SECONDS)
            described["tidemark.ready"].result()
        except KafkaException as error:
            return bool(error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND)
        return True

    def _java_options(self, jars: Path) -> list[str]:
        log4j = jars / "log4j2.properties"
        return [f"-Xmx{self._heap}", f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{jars}/*"]

    def _write_properties(self, logs: Path) -> Path:
        addresses = {
            "log.dirs": str(logs),
            "listeners": f"PLAINTEXT://{self.bootstrap_servers},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
        }
        properties = self.data_dir / "server.properties"
        values = {**SETTINGS, **addresses, **self._settings}
        properties.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        return properties

    def _format_storage(self, java: list[str], logs: Path) -> None:
        """Format under another name and rename, so that a format cut short by a kill is done again."""
        part = logs.with_name("logs.part")
        shutil.rmtree(part, ignore_errors=True)
        properties = self._write_properties(part)
        # One word with its option: one id in 64 begins with a dash.
        command = [
            *java,
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={self._cluster_id}",
            "--config",
            str(properties),
        ]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            raise StartError(f"Kafka's storage could not be formatted in {part}:\n{result.stdout.strip()}")
        part.rename(logs)


def new_cluster_id() -> str:
    """A cluster's id as Kafka writes them: 22 characters of base 64."""
    return urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def install_kafka() -> Path:
    """The folder with the broker's jars and its log configuration, fetched by Maven on first use (54 MB).

    Raises
    ------
    InstallError
        If Maven is missing or cannot fetch them.
    """
    package = resources.files("stream.embedded")
    pom = package.joinpath("pom.xml").read_text()
    log4j = package.joinpath("log4j2.properties").read_text()

    def build(folder: Path) -> None:
        (folder / "pom.xml").write_text(pom)
        (folder / "log4j2.properties").write_text(log4j)
        copy_jars(folder, folder, f"Kafka {KAFKA_VERSION}")

    return installed(f"kafka-{KAFKA_VERSION}", {"pom": pom, "log4j": log4j}, build)

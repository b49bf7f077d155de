"""The brokers under test: one or three in KRaft mode, each with a second listener behind the harness's proxy.

With three, every topic has three copies of which two must have a write, so that one broker may be down. Started by the
long run; the faults of ``kinds/brokers.py`` and ``kinds/network.py`` strike them.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from confluent_kafka.admin import AdminClient

from stream.embedded.kafka import EmbeddedKafka, new_cluster_id
from stream.embedded.ports import free_ports
from tests.chaos.proxy import Proxy

_START_S: Final = 180.0
"""Three brokers on two busy cores."""
_ANSWER_S: Final = 10.0
_TRANSACTION_PARTITIONS: Final = 4
"""As ``stream.embedded.kafka`` sets ``transaction.state.log.num.partitions``."""

_EAGER_CLEANER: Final = {"log.cleaner.backoff.ms": "1000"}
"""Compaction happens while the run lasts."""


class Brokers:
    """A cluster for the length of a ``with`` block.

    Args:
        count: 1 or 3.

    Attributes:
        nodes: by number, the broker's id less one.
        proxy: in front of the second listeners.
        bootstrap_servers, proxied_servers: addresses for clients, past the proxy and through it.
    """

    def __init__(self, count: int, folder: Path) -> None:
        free = free_ports(4 * count)
        ports, controllers, behind, front = (free[start::4] for start in range(4))
        cluster, voters = new_cluster_id(), ",".join(f"{n + 1}@127.0.0.1:{port}" for n, port in enumerate(controllers))
        self.nodes = [
            EmbeddedKafka(
                folder / f"broker-{number + 1}",
                ports[number],
                heap="512m" if count == 1 else "320m",
                cluster_id=cluster,
                start_timeout=_START_S,
                settings={
                    **_EAGER_CLEANER,
                    **_copies(count),
                    "node.id": str(number + 1),
                    "controller.quorum.voters": voters,
                    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
                    "inter.broker.listener.name": "PLAINTEXT",
                    "listeners": f"PLAINTEXT://127.0.0.1:{ports[number]},PROXIED://127.0.0.1:{behind[number]},"
                    f"CONTROLLER://127.0.0.1:{controllers[number]}",
                    "advertised.listeners": f"PLAINTEXT://127.0.0.1:{ports[number]},"
                    f"PROXIED://127.0.0.1:{front[number]}",
                },
            )
            for number in range(count)
        ]
        self.proxy = Proxy(dict(zip(front, behind, strict=True)))
        self.bootstrap_servers = _addresses(ports)
        self.proxied_servers = _addresses(front)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            stack.enter_context(self.proxy)
            for node in self.nodes:
                stack.callback(node.stop)
            # None is ready before most of them are there to vote.
            with ThreadPoolExecutor(len(self.nodes)) as pool:
                list(pool.map(EmbeddedKafka.start, self.nodes))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def coordinator(self, transactional_id: str) -> EmbeddedKafka:
        """The broker that coordinates the transactions of this id now."""
        partition = _java_hash(transactional_id) % _TRANSACTION_PARTITIONS
        topic = "__transaction_state"
        metadata = AdminClient({"bootstrap.servers": self.bootstrap_servers}).list_topics(topic, timeout=_ANSWER_S)
        return self.nodes[metadata.topics[topic].partitions[partition].leader - 1]


def _copies(count: int) -> dict[str, str]:
    if count == 1:
        return {}
    return {
        "default.replication.factor": str(count),
        "min.insync.replicas": str(count - 1),
        "offsets.topic.replication.factor": str(count),
        "transaction.state.log.replication.factor": str(count),
        "transaction.state.log.min.isr": str(count - 1),
    }


def _addresses(ports: Sequence[int]) -> str:
    return ",".join(f"127.0.0.1:{port}" for port in ports)


def _java_hash(text: str) -> int:
    """``Math.abs`` of Java's ``String.hashCode``, by which Kafka picks a transaction's coordinator (KIP-98)."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return abs(value - (1 << 32) if value >> 31 else value)

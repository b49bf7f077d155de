"""Runs everything on this machine: an embedded Kafka, an embedded Triton, and a worker of each role, as child
processes.

It starts them in order, knows when they serve, and starts again what died; what is done with them is `demo.py`'s
business and that of `tidemark up`. The children die with this process, however it dies (`stream.embedded.supervisor`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from msgspec.structs import replace

from stream.configuration.repository import open_registry
from stream.configuration.settings import Configuration
from stream.decisions.policies import KINDS, Policies
from stream.embedded.cache import STAMP, cache_folder
from stream.embedded.kafka import EmbeddedKafka
from stream.embedded.ports import require_free
from stream.embedded.process import StartError, Supervised
from stream.embedded.triton import EmbeddedTriton
from stream.embedded.triton_install import triton_available
from stream.operations.brokers import connect_admin
from stream.operations.status import members_of
from stream.operations.topics import STATEFUL_ROLES, create_topics

JOIN_WITHIN: Final = 60.0
"""Seconds for a worker to import, load the model and own partitions."""
STOP_WITHIN: Final = 25.0
RESTARTS_AT_MOST: Final = 5
RESTARTS_WITHIN: Final = 60.0
"""A child that dies more than five times within a minute will not be better the sixth time."""

DOWNLOADS: Final = {"kafka": "Kafka (54 MB, by Maven)", "triton": "Triton (130 MB, from PyPI)"}
"""What a first run fetches, by the start of the name of its install."""

Say = Callable[[str], None]
"""Takes one line about what happens."""


class RoleProcess(Supervised):
    """One worker as a child: `tidemark worker --role …` with the embedded addresses in its environment."""

    def __init__(self, role: str, configuration_file: Path | None, settings: Mapping[str, str], log_path: Path) -> None:
        super().__init__(f"the {role} worker", log_path, start_timeout=JOIN_WITHIN, stop_timeout=STOP_WITHIN)
        self._role = role
        self._file = configuration_file
        self._settings = settings

    def _prepare(self) -> list[str]:
        file = [] if self._file is None else ["--config", str(self._file.absolute())]
        return [sys.executable, "-m", "stream.cli", *file, "worker", "--role", self._role]

    def _environment(self) -> Mapping[str, str]:
        return self._settings

    def _is_ready(self) -> bool:
        # It is ready when it owns partitions, which the group knows: `Stack` asks for both roles at once.
        return True

    @property
    def last_words(self) -> str:
        """The end of its log."""
        return self._log_tail()


class Stack:
    """The parts and their life.

    Args:
        configuration: what was set; its addresses are replaced by those of the embedded parts.
        configuration_file: handed on to the workers.
        logs: folder of the children's output.
        data: folder of the broker's data; None for a temporary one.
        kafka_port: tried first; a free port is taken where somebody listens on it.
        say: told what happens.
    """

    def __init__(
        self,
        configuration: Configuration,
        configuration_file: Path | None,
        logs: Path,
        *,
        data: Path | None = None,
        kafka_port: int | None = None,
        say: Say,
    ) -> None:
        self._say = say
        self._deaths: dict[str, list[float]] = {}
        self.kafka = EmbeddedKafka(data, _if_free(kafka_port))
        available, self.why_no_triton = triton_available()
        self.triton = (
            EmbeddedTriton(open_registry(configuration).repository, log_path=logs / "triton.log") if available else None
        )
        kafka = replace(configuration.kafka, bootstrap_servers=self.kafka.bootstrap_servers)
        triton = (
            replace(configuration.triton, scorer="in_process")
            if self.triton is None
            else replace(configuration.triton, url=self.triton.grpc_url)
        )
        self.configuration = replace(configuration, kafka=kafka, triton=triton)
        settings = {
            "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TIDEMARK__TRITON__URL": triton.url,
            "TIDEMARK__TRITON__SCORER": triton.scorer,
            "TIDEMARK__TRITON__DEADLINE_MS": str(triton.deadline_ms),
            "TIDEMARK__DATA_DIR": str(Path(configuration.data_dir).absolute()),
            **_thresholds(configuration.policies),
        }
        self.workers = {
            role: RoleProcess(
                role, configuration_file, {**settings, **_metrics(configuration, number)}, logs / f"{role}.log"
            )
            for number, role in enumerate(STATEFUL_ROLES)
        }

    @property
    def parts(self) -> list[Supervised]:
        """Every child, in the order in which they are started."""
        servers: list[Supervised] = [self.kafka] if self.triton is None else [self.kafka, self.triton]
        return [*servers, *self.workers.values()]

    def start(self) -> None:
        """Start everything and return when both workers own their partitions.

        Raises:
            StartError: a part did not start; the message ends with its log's last lines.
            InstallError: a part cannot be installed here.
        """
        servers = [part for part in self.parts if not isinstance(part, RoleProcess)]
        if self.triton is None:
            self._say(f"no embedded Triton: {self.why_no_triton}")
        missing = [size for name, size in DOWNLOADS.items() if not installed(name) and (self.triton or name == "kafka")]
        if missing:
            self._say(f"first run: downloading {' and '.join(missing)} into {cache_folder()}, once for all projects")
        self._say(f"starting {', '.join(part.name.removeprefix('the ') for part in self.parts)}")
        with ThreadPoolExecutor(len(servers)) as pool:
            for started in [pool.submit(server.start) for server in servers]:
                started.result()
        self._say(f"Kafka serves at {self.kafka.bootstrap_servers}")
        if self.triton is not None:
            self._say(f"Triton serves at {self.triton.grpc_url}")
        admin = connect_admin(self.configuration.kafka)
        create_topics(admin, self.configuration.topics)
        for worker in self.workers.values():
            worker.start()
        deadline = time.monotonic() + JOIN_WITHIN
        waiting = dict(self.workers)
        while waiting:
            for role, worker in list(waiting.items()):
                if not worker.alive:
                    raise StartError(f"{worker.name} ended at its start. {worker.last_words}")
                state, members = members_of(admin, self.configuration.topics.topic_names().group(role))
                if state == "stable" and members:
                    del waiting[role]
            if waiting and time.monotonic() > deadline:
                names = " and ".join(worker.name for worker in waiting.values())
                raise StartError(f"{names} got no partitions within {JOIN_WITHIN:g} s")
            time.sleep(0.1)
        self._say("workers of both roles own their partitions")

    def restart_dead(self) -> None:
        """Start again what died since the last look.

        Raises:
            StartError: it cannot be started, or died too often.
        """
        for part in self.parts:
            if part.alive:
                continue
            now = time.monotonic()
            deaths = [moment for moment in self._deaths.get(part.name, []) if moment > now - RESTARTS_WITHIN]
            self._deaths[part.name] = [*deaths, now]
            if len(deaths) >= RESTARTS_AT_MOST:
                raise StartError(f"{part.name} died {len(deaths) + 1} times within a minute: see {part.log_path}")
            self._say(f"{part.name} died; starting it again")
            part.start()
            self._say(f"{part.name} was started again")

    def stop(self) -> None:
        """End every child, workers first so that they commit what is folded."""
        with ThreadPoolExecutor(len(self.workers)) as pool:
            list(pool.map(Supervised.stop, self.workers.values()))
        for server in self.parts:
            server.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _metrics(configuration: Configuration, number: int) -> dict[str, str]:
    """A port for each worker, since two cannot serve at one."""
    port = configuration.metrics_port
    return {"TIDEMARK__METRICS_PORT": str(port + number)} if port else {}


def installed(name: str) -> bool:
    """Whether some version of an embedded server is in the cache folder."""
    return any(cache_folder().glob(f"{name}-*/{STAMP}"))


def _thresholds(policies: Policies) -> dict[str, str]:
    """The thresholds that are set, as environment of a worker."""
    return {
        f"TIDEMARK__POLICIES__{kind}__{name}".upper(): str(value)
        for kind in KINDS
        for name in ("raise_threshold", "raise_share", "resolve_threshold")
        if (value := getattr(getattr(policies, kind), name)) is not None
    }


def _if_free(port: int | None) -> int | None:
    if port is None:
        return None
    try:
        require_free("Kafka", [port])
    except StartError:
        return None
    return port

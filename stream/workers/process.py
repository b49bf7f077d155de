"""One process of a role: builds the processor, its stage and the engine around it, and runs until a signal.

Called by ``tidemark worker``. What is built here is what the tests build too, by the same functions.
"""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import structlog
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry, start_http_server

from serving.catalogue import Catalogue
from stream.configuration.clients import client_properties, show_kafka_log
from stream.configuration.repository import open_registry
from stream.configuration.resolve import ConfigurationError
from stream.configuration.settings import Configuration
from stream.contracts import dead_letters, topics
from stream.contracts.emission import Rejected
from stream.decisions.deployment import Deployment
from stream.engine.cluster import count_partitions
from stream.engine.instance import Instance
from stream.engine.processor import OutputRecord, Processor, Record, Stage
from stream.engine.steps import DeadLetters
from stream.engine.stores.memory import open_memory_store
from stream.engine.stores.rocks import RocksStores
from stream.engine.stores.store import StoreFactory
from stream.engine.worker import Worker
from stream.workers import decisions, profiles
from stream.workers.catalogue import CatalogueReader
from stream.workers.control import ControlReader
from stream.workers.decisions import DecisionsProcessor, Question
from stream.workers.erased import read_erasures
from stream.workers.explaining import Explainer
from stream.workers.metrics import DecisionsMetrics
from stream.workers.models import RegisteredModels
from stream.workers.policies import RegisteredPolicies
from stream.workers.profiles import ProfilesProcessor
from stream.workers.scoring import ScoringStage
from stream.workers.switches import SwitchReader
from stream.workers.watchdog import Watchdog

VERSION: Final = version("tidemark")
ROLES: Final = (profiles.ROLE, decisions.ROLE)

_OLDEST_STORE_MS: Final = int(topics.COMPACTION["delete.retention.ms"]) // 2
"""A local store that was not written for longer may have missed tombstones that the changelog has dropped since."""


def run_worker(configuration: Configuration, role: str, instance: str | None, metrics_port: int | None) -> int:
    """Run a worker of ``role`` until SIGTERM or SIGINT, and return the exit status.

    Raises:
        ConfigurationError: metrics cannot be served where they are set to be.
        InstanceTaken, StateLost, FoldChanged, WorkerFenced, NewerState, TopicMismatch, ClusterUnreachable: with what to
            do.
    """
    configure_logging(configuration.log_level)
    registry = CollectorRegistry()
    serve_metrics(configuration, metrics_port, registry)
    kafka = client_properties(configuration.kafka)
    folder = Path(configuration.data_dir)
    with (
        Instance(folder, role, instance) as named,
        build_processor(configuration, role, registry=registry) as processor,
    ):
        worker = Worker(
            processor,
            kafka,
            configuration.engine,
            named.name,
            stores(configuration, named.name),
            dead_letter_maker(processor.dead_letter_topic),
            registry,
            consumer_properties=configuration.kafka.consumer,
            producer_properties=configuration.kafka.producer,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        names = configuration.topics.topic_names()
        with (
            ControlReader(kafka, names.physical(topics.CONTROL), role, worker.resume),
            Watchdog(lambda: worker.waits_for),
        ):
            worker.run()
    return 0


def serve_metrics(configuration: Configuration, port: int | None, registry: CollectorRegistry) -> None:
    """Serve what is registered to Prometheus until the process ends.

    Args:
        port: instead of the configured one; 0 serves nothing.

    Raises:
        ConfigurationError: it cannot be served there.
    """
    port = configuration.metrics_port if port is None else port
    if port:
        try:
            start_http_server(port, addr=configuration.metrics_host, registry=registry)
        except OSError as error:
            raise ConfigurationError(
                f"metrics cannot be served at {configuration.metrics_host}:{port} ({error.strerror or error}): set "
                "another metrics_port (or --metrics-port), one for each worker of a machine, or another metrics_host"
            ) from error


@contextmanager
def build_processor(
    configuration: Configuration,
    role: str,
    stage: Stage[Question] | None = None,
    registry: CollectorRegistry | None = None,
) -> Iterator[Processor[Any, Any]]:
    """The processor of a role, with what it needs running until the block ends.

    Args:
        stage: answers questions instead of the configured model; for replays and tests.
        registry: learns what the configured model's stage tells Prometheus.
    """
    kafka = client_properties(configuration.kafka)
    names = configuration.topics.topic_names()
    erasures = read_erasures(kafka, names, configuration.deployment.secret, role)
    if role == profiles.ROLE:
        count = count_partitions(AdminClient(kafka), names.physical(topics.EVENTS))
        yield ProfilesProcessor(names, configuration.profiles, count, VERSION, erasures)
        return
    versions = open_registry(configuration)
    default = versions.default()
    switches = SwitchReader(kafka, names.physical(topics.CONTROL), default.card.version, configuration.policies)
    items = CatalogueReader(kafka, names.physical(topics.CATALOGUE), Catalogue.from_items(()))
    try:
        switches.start()
        items.start()
        deployment = Deployment(
            secret=configuration.deployment.secret.encode(),
            source=configuration.deployment.source,
            partitions=count_partitions(AdminClient(kafka), names.physical(topics.SCORE_REQUESTS)),
        )
        policies = RegisteredPolicies(versions, lambda: switches.policies, lambda: switches.rollout)
        if stage is not None:
            yield DecisionsProcessor(names, policies, deployment, stage, erasures)
            return
        models = RegisteredModels(versions, configuration.triton, lambda: switches.rollout, lambda: items.snapshot)
        explainer = Explainer(policies.policies_of, configuration.triton)
        scoring = ScoringStage(models, configuration.triton, configuration.profiles.currency, explainer)
        processor = DecisionsProcessor(names, policies, deployment, scoring, erasures)
        if registry is not None:
            registry.register(DecisionsMetrics(scoring, explainer, lambda: switches.rollout, processor.transitions))
        yield processor
    finally:
        items.close()
        switches.close()


def stores(configuration: Configuration, instance: str) -> StoreFactory:
    """Where the instance keeps its state between commits."""
    if configuration.engine.store == "memory":
        return open_memory_store
    folder = Path(configuration.data_dir) / "stores" / instance
    return RocksStores(folder, _OLDEST_STORE_MS, configuration.engine.rocksdb_memory_bytes)


def dead_letter_maker(topic: str) -> DeadLetters:
    """Makes dead letters for ``topic``: the record as it came, with why and where in its headers."""

    def make(record: Record, refusal: Rejected) -> OutputRecord:
        letter = dead_letters.dead_letter(
            refusal,
            record.origin,
            key=record.key,
            value=record.value,
            headers=record.headers,
            timestamp=record.append_time,
            worker_version=VERSION,
        )
        return OutputRecord(topic, letter.key, letter.value, letter.headers, -1)

    return make


def configure_logging(level: str) -> None:
    """One line an event on standard error: for people on a terminal, JSON elsewhere."""
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    if level == "debug":
        show_kafka_log()

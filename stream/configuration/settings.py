"""Everything that can be set, as one tree of structs; every default works with the embedded parts.

What a setting of the engine, the profiles or the policies means stands with them; this module only puts the tree
together and holds the settings of connections and of the deployment. Made by `load.py`, read by the workers,
operations and commands.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec

from stream.configuration.marks import Properties, Secret
from stream.contracts.topics import TopicNames
from stream.decisions.policies import Policies
from stream.engine.settings import EngineSettings
from stream.profiles.settings import ProfileSettings

LEAST_SESSION_TIMEOUT_MS: Final = 1_000
"""Below it a busy worker would lose its partitions by itself. Brokers have a bound of their own, 6,000 by default
(``group.min.session.timeout.ms``); that of `tidemark up` allows less."""

_BROKER: Final = re.compile(r"([a-z0-9_]+://)?([^\s:,/\[\]]+|\[[0-9a-f:.]+\])(:\d{1,5})?", re.IGNORECASE)
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*:[a-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", re.IGNORECASE)
"""Scheme and characters of RFC 3986; what a scheme asks of the rest is not looked at."""

SUBSCRIPTION_NAME: Final = r"[a-z0-9]+(?:[.-][a-z0-9]+)*"
"""Part of a consumer group's name, and of an environment variable's."""
_SUBSCRIPTION_SECRET: Final = re.compile(rf"{SUBSCRIPTION_NAME}\.secret")

Positive = Annotated[int, msgspec.Meta(gt=0)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]

OWN_PROPERTIES: Final = {
    "auto.offset.reset": "a lost position is refused instead of guessed",
    "bootstrap.servers": "set kafka.bootstrap_servers",
    "enable.auto.commit": "offsets are committed in the transaction of what they led to",
    "enable.auto.offset.store": "offsets are committed in the transaction of what they led to",
    "enable.idempotence": "without it a client may reorder a customer's events when it repeats a request",
    "group.id": "a role is its own group",
    "group.instance.id": "give `tidemark worker --instance`",
    "group.protocol": "set engine.group_protocol",
    "isolation.level": "Tidemark reads committed records alone",
    "partitioner": "Tidemark partitions by murmur2 alone, as Java's clients do",
    "transaction.timeout.ms": "set engine.transaction_timeout_ms",
    "transactional.id": "it follows from role and instance",
}
"""Properties that exactly-once rests on, and what to do instead of setting them."""

MODEL_MAX_BATCH: Final = 256
"""``max_batch_size`` of the models that `tidemark train` exports (`serving.triton_config`, which is not imported, since
it brings numpy to every command)."""

DEFAULT_SECRET: Final = "tidemark-embedded-parts-only"  # noqa: S105 - good for nothing but demo and tests, see DeploymentSettings
_LOOPBACK: Final = ("127.0.0.1:", "localhost:", "[::1]:")


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The Kafka cluster."""

    bootstrap_servers: str = "127.0.0.1:9092"
    """``host:port`` of one or more brokers, separated by commas."""
    client: Properties = {}
    """Properties of every client: TLS, SASL, time-outs."""
    consumer: Properties = {}
    """Properties of consumers, over those of ``client``."""
    producer: Properties = {}
    """Properties of producers, over those of ``client``."""

    def __post_init__(self) -> None:
        for server in self.bootstrap_servers.split(","):
            if not _BROKER.fullmatch(server.strip()):
                raise ValueError(
                    f"bootstrap_servers is {self.bootstrap_servers!r}: it must be host:port of one or more brokers, "
                    "separated by commas"
                )
        for table in (self.client, self.consumer, self.producer):
            for name in OWN_PROPERTIES.keys() & table.keys():
                raise ValueError(f"{name} is Tidemark's own: {OWN_PROPERTIES[name]}")


class TopicSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Names and shape of the topics."""

    prefix: str = ""
    """Set before every topic name, such as ``staging.``."""
    names: dict[str, str] = {}
    """Full name on the broker by logical name, where it is not the table's."""
    partitions: Positive = 4
    """Of every topic but ``tidemark.control.v1``. It bounds how many workers of a role share the work; it cannot be
    raised later without moving customers to other partitions."""
    replication: Positive = 1
    """Copies of each partition: 3 on a cluster."""

    def __post_init__(self) -> None:
        TopicNames(prefix=self.prefix, names=self.names)

    def topic_names(self) -> TopicNames:
        """Resolves logical names."""
        return TopicNames(prefix=self.prefix, names=self.names)


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When calls to the model server stop and the fallback answers."""

    failures: Positive = 3
    """Calls in a row that must fail for the breaker to open."""
    open_ms: Positive = 1_000
    """Milliseconds after which an open breaker looks for the server; doubled each time it is not there."""
    max_open_ms: Positive = 5_000
    """Longest wait between two looks: the model answers at most this long after its return."""


class TritonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The model server."""

    url: str = "127.0.0.1:8001"
    """``host:port`` of Triton's gRPC endpoint."""
    scorer: Literal["triton", "in_process"] = "triton"
    """``in_process`` runs the same ONNX file with onnxruntime inside the worker, where the platform has no Triton."""
    model: str = "customer"
    """Name of the model in the repository."""
    repository: str = ""
    """Folder of the models, the one that Triton is given: workers read cards, item vectors and what is known of the
    shop from it. Empty: the one that comes with Tidemark."""
    deadline_ms: Positive = 250
    """Milliseconds that one call may take; what comes later is void."""
    backlog_deadline_ms: Positive = 5_000
    """The same for questions that have waited so long already: a backlog is left to the model, not to the fallback."""
    retries: Annotated[int, msgspec.Meta(ge=0, le=3)] = 1
    """Further calls after a failed one, before the fallback answers."""
    max_batch: Annotated[int, msgspec.Meta(gt=0, le=MODEL_MAX_BATCH)] = 64
    """Customers a call. Triton refuses calls that are larger than the ``max_batch_size`` of its model."""
    in_flight: Positive = 4
    """Calls under way at once; the server joins them to larger batches. On two cores full calls take 30 ms each, one
    after the other: twice as many would come near the deadline whenever there is a backlog."""
    reasons_deadline_ms: Annotated[int, msgspec.Meta(ge=0)] = 150
    """Milliseconds in which the model may say why a customer is about to be alerted; later, while another customer is
    being explained, or in a backlog, the reasons are found by rule. 0: always by rule."""
    breaker: BreakerSettings = BreakerSettings()


class DeploymentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What makes this deployment's ids its own."""

    source: str = "urn:tidemark:embedded"
    """``source`` of the CloudEvents that go out: a URI."""
    secret: Secret = DEFAULT_SECRET
    """Keys the ids of alerts and the draw of the control group. The same on every worker, for ever: another one is
    other ids."""

    def __post_init__(self) -> None:
        if not _URI.fullmatch(self.source):
            raise ValueError(
                f"source is {self.source!r}: it must be a URI, such as urn:shop:tidemark or https://shop.example/tidemark"
            )


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is set."""

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    triton: TritonSettings = TritonSettings()
    deployment: DeploymentSettings = DeploymentSettings()
    engine: EngineSettings = EngineSettings()
    profiles: ProfileSettings = ProfileSettings()
    policies: Policies = Policies()
    subscriptions: Properties = {}
    """Secrets that `tidemark subscribe` signs with, as ``<name>.secret``: ``whsec_`` and 24 to 64 bytes in base64; two,
    separated by a space, while a receiver changes from one to the other."""
    data_dir: str = ".tidemark"
    """Folder of local stores, and of the logs and the kept data of `tidemark up`; made when missing. The addresses that
    `tidemark up` leaves for the other commands are not here: see `running.py`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_host: str = "127.0.0.1"
    """Address on which a worker serves Prometheus metrics; ``0.0.0.0`` inside a container."""
    metrics_port: Port = 0
    """Port of ``metrics_host`` where a worker serves Prometheus metrics; 0 serves none."""

    def __post_init__(self) -> None:
        if self.engine.session_timeout_ms < LEAST_SESSION_TIMEOUT_MS:
            raise ValueError(
                f"engine.session_timeout_ms is {self.engine.session_timeout_ms}: it must be at least "
                f"{LEAST_SESSION_TIMEOUT_MS}, and at least the brokers' group.min.session.timeout.ms (6000 unless set)"
            )
        for name in self.subscriptions:
            if not _SUBSCRIPTION_SECRET.fullmatch(name):
                raise ValueError(
                    f"subscriptions.{name} is no setting: it must be a subscription's name (small letters, digits, "
                    "dots, hyphens) and .secret"
                )

    def lacks_secret(self) -> bool:
        """Whether the secret that everybody knows would key ids on a Kafka that is not this machine's own."""
        servers = self.kafka.bootstrap_servers.split(",")
        local = all(server.strip().startswith(_LOOPBACK) for server in servers)
        return not local and self.deployment.secret == DEFAULT_SECRET

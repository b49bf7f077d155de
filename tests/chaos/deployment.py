"""The deployment under test: its configuration, one file a worker where workers differ, and its topics.

Short intervals, so that there are many commits to be struck in; low thresholds, so that there are many alerts;
changelogs that are compacted while the run lasts. Called by ``run.py`` and by the end-to-end tests.
"""

from pathlib import Path
from typing import Final, Literal

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.operations.topics import create_topics
from tests.chaos.input_log import PARTITIONS

SESSION_MS: Final = 4_000
"""A worker that shows no sign of life for so long is replaced."""
TRANSACTION_MS: Final = 7_000
"""Longer: a worker that was replaced in the middle of a transaction may come back and still commit it."""

_ANSWER_S: Final = 30.0
_EAGER: Final = {"segment.ms": "10000", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "10000"}

_CONFIGURATION: Final = """
data_dir = "{folder}"
[kafka]
bootstrap_servers = "{servers}"
[topics]
prefix = "{prefix}"
partitions = {partitions}
replication = {replication}
[engine]
commit_interval_ms = 25
backlog_commit_interval_ms = 25
consume_batch = 500
timers_per_step = 200
session_timeout_ms = {session_ms}
transaction_timeout_ms = {transaction_ms}
store = "{store}"
[profiles]
browse_every_n = 2
ask_interval_ms = 600000
[policies]
daily_cap = 5
[policies.churn_risk]
raise_threshold = {raised}
resolve_threshold = {resolved}
silent_from_days = 0.0
cool_down_days = 0.5
expiry_days = 4.0
[policies.second_purchase]
raise_threshold = {raised}
resolve_threshold = {resolved}
silent_from_days = 0.0
cool_down_days = 0.5
expiry_days = 4.0
"""
_MODEL: Final = """
[triton]
url = "{url}"
"""


def configuration_text(
    folder: Path,
    servers: str,
    prefix: str,
    *,
    store: Literal["memory", "rocksdb"] = "memory",
    replication: int = 1,
    session_ms: int = SESSION_MS,
    transaction_ms: int = SESSION_MS,
    model: str = "",
) -> str:
    """A ``tidemark.toml``.

    Args:
        folder: for data.
        model: ``host:port`` of the model server; its probabilities are lower than those that are drawn without one.
    """
    raised, resolved = (0.3, 0.25) if model else (0.75, 0.5)
    text = _CONFIGURATION.format(
        folder=folder,
        servers=servers,
        prefix=prefix,
        partitions=PARTITIONS,
        replication=replication,
        session_ms=session_ms,
        transaction_ms=transaction_ms,
        store=store,
        raised=raised,
        resolved=resolved,
    )
    return text + _MODEL.format(url=model) if model else text


def create(configuration: Configuration) -> None:
    """The topics, with changelogs that the broker's cleaner compacts every few seconds."""
    admin, names = AdminClient(client_properties(configuration.kafka)), configuration.topics.topic_names()
    create_topics(admin, configuration.topics)
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in _EAGER.items()]
    changed = [
        ConfigResource(ResourceType.TOPIC, names.changelog(role), incremental_configs=entries)
        for role in ("profiles", "decisions")
    ]
    for altered in admin.incremental_alter_configs(changed).values():
        altered.result(_ANSWER_S)

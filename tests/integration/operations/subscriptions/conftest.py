"""A deployment whose subscription ``crm`` has a secret, and receivers on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.operations.brokers import connect_admin
from stream.operations.topics import create_topics
from stream.testing.topics import Topics
from tests.integration.operations.subscriptions.receiver import SECRET, Manners, Receiver


@pytest.fixture
def environ(topics: Topics) -> dict[str, str]:
    return {
        "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": topics.bootstrap_servers,
        "TIDEMARK__TOPICS__PREFIX": topics.prefix,
        "TIDEMARK__TOPICS__PARTITIONS": "3",
        # A process that was killed keeps its partitions for so long.
        "TIDEMARK__ENGINE__SESSION_TIMEOUT_MS": "1000",
        "TIDEMARK__SUBSCRIPTIONS__CRM_SECRET": SECRET,
    }


@pytest.fixture
def deployment(environ: dict[str, str]) -> Configuration:
    configuration = load(None, environ).configuration
    create_topics(connect_admin(configuration.kafka), configuration.topics)
    return configuration


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """One that takes everything."""
    with Receiver(tmp_path, Manners()) as started:
        yield started

"""A deployment of its own for each test, on the session's broker."""

import pytest

from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.operations.brokers import connect_admin
from stream.operations.topics import create_topics
from stream.testing.topics import Topics


@pytest.fixture
def environ(topics: Topics) -> dict[str, str]:
    """The variables that point a command at the broker and at topics of this test alone."""
    return {
        "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": topics.bootstrap_servers,
        "TIDEMARK__TOPICS__PREFIX": topics.prefix,
        "TIDEMARK__TOPICS__PARTITIONS": "3",
    }


@pytest.fixture
def deployment(environ: dict[str, str]) -> Configuration:
    """Configured, with topics created and empty."""
    configuration = load(None, environ).configuration
    create_topics(connect_admin(configuration.kafka), configuration.topics)
    return configuration

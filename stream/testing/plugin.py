"""The pytest plugin that comes with Tidemark: fixtures for a real Kafka broker and a real Triton server.

Every pytest run in an environment with Tidemark loads this module, so it imports nothing of Kafka or Triton before a
test asks for a fixture. The servers live in `stream.embedded`, the conveniences on topics in `topics.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stream.embedded.kafka import EmbeddedKafka
    from stream.embedded.triton import EmbeddedTriton
    from stream.testing.topics import Topics

MODEL_REPOSITORY_OPTION = "triton_model_repository"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the plugin's ini option."""
    parser.addini(
        MODEL_REPOSITORY_OPTION,
        "Folder of models that the fixture embedded_triton serves, relative to the root; default: Tidemark's own",
        default="",
    )


@pytest.fixture(scope="session")
def embedded_kafka() -> Iterator[EmbeddedKafka]:
    """One Kafka broker for the whole test session; `embedded_kafka.bootstrap_servers` is its address."""
    from stream.embedded.kafka import EmbeddedKafka

    with EmbeddedKafka() as kafka:
        yield kafka


@pytest.fixture(scope="session")
def triton_model_repository(pytestconfig: pytest.Config) -> Path:
    """The folder of models that `embedded_triton` serves: the ini option's, else the models that Tidemark ships.

    Override this fixture to serve a folder that the tests make.
    """
    configured = pytestconfig.getini(MODEL_REPOSITORY_OPTION)
    if configured:
        return pytestconfig.rootpath / str(configured)
    from serving.model_card import model_repository

    return model_repository()


@pytest.fixture(scope="session")
def embedded_triton(triton_model_repository: Path) -> Iterator[EmbeddedTriton]:
    """One Triton server for the whole test session. Tests that use it are skipped where the platform has no Triton."""
    from stream.embedded.triton import EmbeddedTriton
    from stream.embedded.triton_install import triton_available

    available, reason = triton_available()
    if not available:
        pytest.skip(reason)
    with EmbeddedTriton(triton_model_repository) as triton:
        yield triton


@pytest.fixture
def topics(embedded_kafka: EmbeddedKafka, request: pytest.FixtureRequest) -> Iterator[Topics]:
    """Topics of this test alone on the session's broker, deleted when the test ends."""
    from stream.testing.topics import Topics

    readable = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name)[:60].strip("-")
    with Topics(embedded_kafka.bootstrap_servers, label=readable) as own:
        yield own

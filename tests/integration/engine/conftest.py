"""Deployments on the session's broker; workers that a test leaves behind are stopped."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stream.testing.topics import Topics
from tests.integration.engine.deployment import Deployment


@pytest.fixture
def deploy(topics: Topics) -> Iterator[Callable[..., Deployment]]:
    """Makes the deployment of a test."""
    made: list[Deployment] = []

    def make(**more: Any) -> Deployment:
        made.append(Deployment(topics, **more))
        return made[-1]

    yield make
    for deployment in made:
        deployment.close()


@pytest.fixture
def deployment(deploy: Callable[..., Deployment]) -> Deployment:
    """Two partitions, nothing special."""
    return deploy()

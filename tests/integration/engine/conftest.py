"""Deployments on the session's broker; workers that a test leaves behind are stopped."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

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


@pytest.fixture(autouse=True, scope="package")
def _quiet() -> Iterator[None]:
    """The engine tells of every fault, and these tests plant many."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()

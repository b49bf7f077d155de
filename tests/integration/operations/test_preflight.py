"""What a broker would refuse a worker for ever is refused at its start, with the broker's bounds."""

import os
import subprocess
import sys

import pytest

from stream.configuration.resolve import ConfigurationError
from stream.configuration.settings import Configuration
from stream.engine.settings import EngineSettings
from stream.operations.brokers import connect_admin
from stream.operations.preflight import check_session_timeout


@pytest.mark.parametrize("milliseconds", [999, 1_800_001])
def test_a_session_timeout_that_the_brokers_refuse_is_refused_with_their_bounds(
    deployment: Configuration, milliseconds: int
) -> None:
    with pytest.raises(ConfigurationError, match=rf"is {milliseconds}, the brokers take 1000 to 1800000: set it"):
        check_session_timeout(connect_admin(deployment.kafka), EngineSettings(session_timeout_ms=milliseconds))


@pytest.mark.parametrize(
    "engine",
    [
        EngineSettings(session_timeout_ms=1_000),
        EngineSettings(),
        EngineSettings(session_timeout_ms=999, group_protocol="consumer"),
    ],
)
def test_what_the_brokers_take_passes(deployment: Configuration, engine: EngineSettings) -> None:
    check_session_timeout(connect_admin(deployment.kafka), engine)


def test_a_worker_ends_with_one_line(deployment: Configuration) -> None:
    environ = {
        **os.environ,
        "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": deployment.kafka.bootstrap_servers,
        "TIDEMARK__TOPICS__PREFIX": deployment.topics.prefix,
        "TIDEMARK__ENGINE__SESSION_TIMEOUT_MS": "1800001",
    }
    command = [sys.executable, "-m", "stream.cli", "worker", "--role", "profiles"]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.startswith("tidemark: engine.session_timeout_ms is 1800001, the brokers take ")
    assert len(ended.stderr.splitlines()) == 1

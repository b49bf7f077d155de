"""A worker's start, before it needs Kafka."""

import socket
from pathlib import Path

import pytest
import structlog

from stream.configuration.resolve import ConfigurationError
from stream.configuration.settings import Configuration
from stream.workers.process import run_worker


@pytest.fixture(autouse=True)
def _logging_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(structlog, "configure", lambda **_: None)


@pytest.mark.parametrize("by_option", [True, False])
def test_a_metrics_port_that_is_taken_is_named_with_its_setting(by_option: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        configuration = Configuration(metrics_port=0 if by_option else port)
        with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1:{port} \(Address already in use\).*metrics_port"):
            run_worker(configuration, "profiles", None, port if by_option else None)


def test_a_metrics_host_that_is_not_this_machine_is_named_with_its_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1:9101 .*metrics_host"):
        run_worker(Configuration(metrics_host="192.0.2.1"), "profiles", None, 9101)

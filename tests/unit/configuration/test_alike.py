"""Variables that look like settings and are none are refused; those of others are left alone."""

from pathlib import Path

import pytest

from stream.configuration.load import load
from stream.configuration.resolve import ConfigurationError


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("variable", "right"),
    [
        ("TIDEMARK_KAFKA_BOOTSTRAP_SERVERS", "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS"),
        ("TIDEMARK_KAFKA__BOOTSTRAP_SERVERS", "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS"),
        ("tidemark__kafka__bootstrap_servers", "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS"),
        ("TIDEMARK_METRICS_PORT", "TIDEMARK__METRICS_PORT"),
        ("TIDEMARK_DATA_DIR", "TIDEMARK__DATA_DIR"),
        ("TIDEMARK_DEPLOYMENT_SECRET", "TIDEMARK__DEPLOYMENT__SECRET"),
        ("TIDEMARK_DEPLOYMENT_SECRET_FILE", "TIDEMARK__DEPLOYMENT__SECRET_FILE"),
        ("TIDEMARK_KAFKA_CLIENT_SECURITY_PROTOCOL", "TIDEMARK__KAFKA__CLIENT__SECURITY_PROTOCOL"),
    ],
)
def test_a_setting_but_for_its_underscores_is_refused_with_its_right_name(variable: str, right: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(None, {variable: "9092"})
    assert str(caught.value) == f"environment variable {variable} sets nothing: it is called {right}"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TIDEMARK_CACHE", "/cache"),
        ("TIDEMARK_TRITON_PACKAGES", "/packages"),
        ("TIDEMARK_SECRET", "read by the compose file"),
        ("TIDEMARK_METRICS_PORT", "tcp://10.0.0.1:9090"),
        ("TIDEMARK_KAFKA_CLIENT_SERVICE_HOST", "10.0.0.1"),
        ("TIDEMARK_KAFKA_CLIENT_PORT_9092_TCP_ADDR", "10.0.0.1"),
        ("TIDEMARKET_DATA_DIR", "x"),
    ],
)
def test_variables_that_mean_something_else_are_left_alone(variable: str, value: str) -> None:
    assert set(load(None, {variable: value}).origins.values()) == {"default"}

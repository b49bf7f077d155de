"""docker-compose.yml is valid, and starts the commands, settings, broker and models that the code has."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from prometheus_client import CollectorRegistry
from typer.main import get_command

from serving.model_card import MODEL_NAME
from serving.registry import with_versions
from serving.triton_config import config_text
from stream.cli.app import app
from stream.configuration.load import ENVIRONMENT_PREFIX, load
from stream.embedded.kafka import KAFKA_VERSION, SETTINGS
from stream.engine.metrics import EngineMetrics

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("tidemark:")}
ROLES = {name: service for name, service in OURS.items() if service["command"][0] == "worker"}
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "tidemark.json"


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Path in the container to path or volume outside."""
    return {inside: outside for outside, inside, *_ in (mount.split(":") for mount in service.get("volumes", []))}


def test_it_is_valid_against_the_compose_specification() -> None:
    schema = json.loads((ROOT / "tests" / "data" / "compose-spec" / "compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_the_schema_refuses_what_is_not_compose() -> None:
    schema = json.loads((ROOT / "tests" / "data" / "compose-spec" / "compose-spec.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(COMPOSE | {"services": {"kafka": {"imago": "apache/kafka"}}})


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_reachable_from_this_machine_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_what_keeps_running_can_be_asked_for_its_health(name: str) -> None:
    service = SERVICES[name]
    assert (service["restart"] == "no") != ("healthcheck" in service)


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_or_named_exists(name: str) -> None:
    service = SERVICES[name]
    for outside in mounts(service).values():
        assert (ROOT / outside).exists() if outside.startswith("./") else outside in COMPOSE["volumes"]
    assert service.get("depends_on", {}).keys() <= SERVICES.keys()
    assert set(service.get("secrets", [])) <= COMPOSE.get("secrets", {}).keys()
    assert not re.search(r":latest$|^[^:]+$", service["image"]), "pin the image's version"


@pytest.mark.parametrize("name", OURS)
def test_commands_are_those_of_the_program(name: str) -> None:
    command, *arguments = OURS[name]["command"]
    get_command(app).commands[command].make_context(command, list(arguments))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", OURS)
def test_settings_are_known_and_reach_the_other_services(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "deployment_secret"
    secret.write_text("a secret")
    assert COMPOSE["secrets"] == {"deployment_secret": {"environment": "TIDEMARK_SECRET"}}
    given = {key: str(value) for key, value in OURS[name]["environment"].items()}
    assert all(key.startswith(ENVIRONMENT_PREFIX) for key in given)
    environ = {key: value.replace("/run/secrets/deployment_secret", str(secret)) for key, value in given.items()}
    assert environ["TIDEMARK__DEPLOYMENT__SECRET_FILE"] == str(secret)

    settings = load(ROOT / "tidemark.toml", environ).configuration
    assert mounts(OURS[name])["/etc/tidemark/tidemark.toml"] == "./tidemark.toml"
    assert settings.kafka.bootstrap_servers in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert settings.triton.url == "triton:8001"
    assert not settings.lacks_secret()
    if name in ROLES:
        assert settings.data_dir in mounts(OURS[name])
        assert str(settings.metrics_port) in OURS[name]["healthcheck"]["test"][-1]
        assert settings.metrics_host == "0.0.0.0"  # noqa: S104 - inside a container whose port is not published


def test_both_roles_run() -> None:
    assert {service["command"][-1] for service in ROLES.values()} == {"profiles", "decisions"}


def test_the_broker_is_the_embedded_one_with_the_same_settings() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    given = {key: str(value) for key, value in SERVICES["kafka"]["environment"].items()}
    as_variables = {"KAFKA_" + name.replace(".", "_").upper(): value for name, value in SETTINGS.items()}
    alike = given.keys() & as_variables.keys() - {"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"}
    assert {key: given[key] for key in alike} == {key: as_variables[key] for key in alike}
    assert alike >= {"KAFKA_AUTO_CREATE_TOPICS_ENABLE", "KAFKA_MESSAGE_MAX_BYTES", "KAFKA_PROCESS_ROLES"}


def test_triton_serves_our_models_on_a_gpu_and_on_nothing_else() -> None:
    triton = SERVICES["triton"]
    assert "--model-repository=/models" in triton["command"]
    assert mounts(triton)["/models"] == "./triton_models"
    (device,) = triton["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    # Without this file Triton would fall back to config.pbtxt, and to the CPU.
    assert "--model-config-name=gpu" in triton["command"]
    for model in (ROOT / "triton_models").iterdir():
        if model.is_dir():
            assert "KIND_GPU" in (model / "configs" / "gpu.pbtxt").read_text()
    written = (ROOT / "triton_models" / MODEL_NAME / "configs" / "gpu.pbtxt").read_text()
    assert written == with_versions(config_text("gpu"), [1])


def test_workers_read_the_model_cards_of_the_models_that_triton_serves() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    (version,) = set(re.findall(r"FROM python:(\d+\.\d+)-slim", dockerfile))
    (environment,) = re.findall(r"--from=build (\S+) ", dockerfile)
    installed = f"{environment}/lib/python{version}/site-packages"
    # `serving.model_card.model_repository` looks beside the package first.
    assert mounts(SERVICES["decisions"])[f"{installed}/triton_models"] == "./triton_models"


def test_prometheus_scrapes_every_role_and_triton_and_has_the_rules() -> None:
    assert mounts(SERVICES["prometheus"])["/etc/prometheus/prometheus.yml"] == "./deploy/prometheus/prometheus.yml"
    configuration = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    for rules in configuration["rule_files"]:
        assert mounts(SERVICES["prometheus"])[f"/etc/prometheus/{rules}"] == f"./deploy/prometheus/{rules}"
    jobs = configuration["scrape_configs"]
    (workers,) = (job["dns_sd_configs"][0] for job in jobs if job["job_name"] == "tidemark")
    assert set(workers["names"]) == ROLES.keys()
    assert {workers["port"]} == {role["environment"]["TIDEMARK__METRICS_PORT"] for role in ROLES.values()}


def test_the_dashboard_shows_metrics_that_exist() -> None:
    registry = CollectorRegistry()
    EngineMetrics(registry)
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    known = {family.name + suffix for family in registry.collect() for suffix in suffixes[family.type]}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = {
        name for panel in panels for target in panel["targets"] for name in re.findall(r"tidemark_\w+", target["expr"])
    }
    assert shown
    assert shown <= known
    inside = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert mounts(SERVICES["grafana"])[inside.rpartition("/")[0]] == "./deploy/grafana/dashboards"

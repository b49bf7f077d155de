"""A broker that asks for credentials and permissions: every command says in one line what to do about a refusal."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from stream.configuration.settings import KafkaSettings, TopicSettings
from stream.embedded.kafka import EmbeddedKafka
from stream.embedded.ports import free_ports
from stream.operations.brokers import AccessError, KafkaUnreachableError, connect_admin
from stream.operations.status import members_of
from stream.operations.topics import create_topics
from stream.testing.waiting import eventually


class SecuredKafka(EmbeddedKafka):
    """A second listener that asks for SASL/PLAIN; whoever comes in by the first may do everything."""

    def __init__(self) -> None:
        port, self.secured_port = free_ports(2)
        super().__init__(port=port)

    def _write_properties(self, logs: Path) -> Path:
        properties = super()._write_properties(logs)
        first = dict(line.split("=", 1) for line in properties.read_text().splitlines())
        second = f",SECURED://127.0.0.1:{self.secured_port}"
        with properties.open("a") as file:
            # What stands last in a file of properties is in force.
            file.write(
                f"listeners={first['listeners']}{second}\n"
                f"advertised.listeners={first['advertised.listeners']}{second}\n"
                f"listener.security.protocol.map={first['listener.security.protocol.map']},SECURED:SASL_PLAINTEXT\n"
                "sasl.enabled.mechanisms=PLAIN\n"
                "listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule "
                'required user_clerk="right";\n'
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
                "super.users=User:ANONYMOUS\n"
            )
        return properties


@pytest.fixture(scope="module")
def secured() -> Iterator[SecuredKafka]:
    with SecuredKafka() as kafka:
        yield kafka


def environment(secured: SecuredKafka, password: str) -> dict[str, str]:
    return {
        "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{secured.secured_port}",
        "TIDEMARK__KAFKA__CLIENT__SECURITY_PROTOCOL": "sasl_plaintext",
        "TIDEMARK__KAFKA__CLIENT__SASL_MECHANISM": "PLAIN",
        "TIDEMARK__KAFKA__CLIENT__SASL_USERNAME": "clerk",
        "TIDEMARK__KAFKA__CLIENT__SASL_PASSWORD": password,
    }


def refused(folder: Path, environ: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Exit code of a command, and its one line."""
    ended = subprocess.run(
        [sys.executable, "-m", "stream.cli", *arguments],
        env={**os.environ, **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    assert "KafkaError{" not in lines[0]
    return ended.returncode, lines[0]


COMMANDS = (
    ["topics"],
    ["topics", "--check"],
    ["status"],
    ["tail", "alerts"],
    ["resume"],
    ["dead-letters", "list"],
    ["dead-letters", "redrive", "--apply"],
    ["ingest", "events.jsonl"],
    ["ingest", "events.jsonl", "--catalogue", "items.jsonl"],
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "events.jsonl").write_text('{"type": "browse", "time": "2025-05-26T18:30:00Z", "customer_id": "ada"}\n')
    (tmp_path / "items.jsonl").write_text('{"item_id": "tea", "item_name": "Tea"}\n')
    return tmp_path


@pytest.mark.parametrize("command", [["topics"], ["resume"], ["worker", "--role", "decisions"]], ids=" ".join)
def test_wrong_credentials_are_a_matter_of_configuration(
    secured: SecuredKafka, folder: Path, command: list[str]
) -> None:
    code, line = refused(folder, environment(secured, "wrong"), *command)
    assert code == 2
    assert "Kafka refuses the credentials (Invalid username or password): check sasl.mechanism" in line


@pytest.mark.parametrize("command", [*COMMANDS, ["worker", "--role", "decisions"]], ids=" ".join)
def test_what_a_user_may_not_do_is_said_with_what_to_do(
    secured: SecuredKafka, folder: Path, command: list[str]
) -> None:
    code, line = refused(folder, environment(secured, "right"), *command)
    assert code == 2
    assert "have whoever administers Kafka allow it, or set another user in kafka.client" in line


def allow(secured: SecuredKafka, kind: ResourceType, prefix: str, *operations: AclOperation) -> None:
    admin = connect_admin(KafkaSettings(bootstrap_servers=secured.bootstrap_servers))
    pattern, allowed = ResourcePatternType.PREFIXED, AclPermissionType.ALLOW
    created = admin.create_acls(
        [AclBinding(kind, prefix, pattern, "User:clerk", "*", operation, allowed) for operation in operations]
    )
    for each in created.values():
        each.result(10)


def test_a_user_who_may_look_but_not_write_is_not_told_that_something_was_written(
    secured: SecuredKafka, folder: Path
) -> None:
    admin = connect_admin(KafkaSettings(bootstrap_servers=secured.bootstrap_servers))
    create_topics(admin, TopicSettings(prefix="look."))
    allow(secured, ResourceType.TOPIC, "look.", AclOperation.READ)
    environ = {**environment(secured, "right"), "TIDEMARK__TOPICS__PREFIX": "look."}
    properties = {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "clerk"}
    secured_servers = environ["TIDEMARK__KAFKA__BOOTSTRAP_SERVERS"]
    clerk = connect_admin(
        KafkaSettings(bootstrap_servers=secured_servers, client={**properties, "sasl.password": "right"})
    )
    assert eventually(lambda: "look.tidemark.control.v1" in clerk.list_topics(timeout=10).topics)
    code, line = refused(folder, environ, "resume")
    assert code == 2, line
    assert "of topic look.tidemark.control.v1" in line


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"no.such.property": 1}, 'No such configuration property: "no.such.property"'),
        ({"security.protocol": "tls"}, 'Invalid value "tls" for configuration property "security.protocol"'),
    ],
)
def test_a_property_that_librdkafka_does_not_know_is_named(properties: dict[str, str | int], said: str) -> None:
    with pytest.raises(AccessError, match=said):
        connect_admin(KafkaSettings(client={**properties}))


def test_another_protocol_than_the_brokers_is_guessed(secured: SecuredKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.operations.brokers.ANSWER_WITHIN", 1.0)
    with pytest.raises(KafkaUnreachableError, match=r"does security\.protocol of kafka\.client fit"):
        connect_admin(KafkaSettings(bootstrap_servers=f"127.0.0.1:{secured.secured_port}"))


def test_the_permissions_that_the_documentation_lists_are_enough(secured: SecuredKafka, folder: Path) -> None:
    topic = (AclOperation.CREATE, AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE_CONFIGS)
    allow(secured, ResourceType.TOPIC, "enough.", *topic)
    allow(secured, ResourceType.GROUP, "enough.tidemark.", AclOperation.READ)
    allow(secured, ResourceType.GROUP, "tidemark.", AclOperation.READ)
    allow(secured, ResourceType.TRANSACTIONAL_ID, "enough.tidemark.", AclOperation.WRITE)
    allow(secured, ResourceType.TRANSACTIONAL_ID, "tidemark.", AclOperation.WRITE)
    environ = {**os.environ, **environment(secured, "right"), "TIDEMARK__TOPICS__PREFIX": "enough."}

    def done(*arguments: str) -> bool:
        command = [sys.executable, "-m", "stream.cli", *arguments]
        return subprocess.run(command, env=environ, cwd=folder, capture_output=True, timeout=60).returncode == 0

    # The broker takes a moment to obey.
    assert eventually(lambda: done("topics"))
    for command in COMMANDS:
        assert done(*command, *(("--no-follow",) if command[0] == "tail" else ())), command
    worker = [sys.executable, "-m", "stream.cli", "worker", "--role", "profiles"]
    admin = connect_admin(KafkaSettings(bootstrap_servers=secured.bootstrap_servers))
    with subprocess.Popen(worker, env=environ, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert eventually(lambda: members_of(admin, "enough.tidemark.profiles") == ("stable", 1)), process.poll()
        finally:
            process.terminate()
            _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said

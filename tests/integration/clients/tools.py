"""Kafka's own command line tools and kafkajs, fetched once into the cache folder.

For the tests of this package: shops write with whatever client they have, and read with it too.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from stream.embedded.cache import InstallError, installed
from stream.embedded.java import copy_jars, find_java

_HERE: Final = Path(__file__).parent
_TOOL_S: Final = 90


def kafka_tool(name: str, *options: str, given: str = "") -> str:
    """Run one of Kafka's tools, such as ``ConsoleProducer``, and return what it printed.

    Args:
        given: its standard input.
    """
    package = "org.apache.kafka.tools.consumer" if name.startswith("ConsoleConsumer") else "org.apache.kafka.tools"
    command = java_command(f"{package}.{name}")
    done = subprocess.run([*command, *options], input=given.encode(), capture_output=True, timeout=_TOOL_S)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def java_command(main: str) -> list[str]:
    """The command that runs a class of Kafka's tools, or of Kafka Connect."""
    pom = (_HERE / "pom.xml").read_text()

    def build(folder: Path) -> None:
        (folder / "pom.xml").write_text(pom)
        copy_jars(folder, folder, "Kafka's tools")

    jars = installed("kafka-tools", {"pom": pom}, build)
    return [str(find_java()), "-cp", f"{jars}/*", main]


def node_script(name: str, *arguments: str, given: str) -> None:
    """Run a script of this folder with kafkajs. Skips the test where there is no Node.js, or no registry for it."""
    command, environ = node_command(_HERE / name)
    done = subprocess.run(
        [*command, *arguments], input=given.encode(), env=environ, capture_output=True, timeout=_TOOL_S
    )
    assert done.returncode == 0, done.stderr.decode()


def node_command(script: Path) -> tuple[list[str], dict[str, str]]:
    """The command that runs a script with kafkajs, and its environment. Skips as ``node_script`` does."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("kafkajs needs node and npm on the PATH")
    package = (_HERE / "package.json").read_text()

    def build(folder: Path) -> None:
        (folder / "package.json").write_text(package)
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TOOL_S)
        if done.returncode != 0:
            raise InstallError(done.stderr)

    try:
        modules = installed("kafkajs", {"package": package}, build)
    except (InstallError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm cannot fetch kafkajs: {error}")
    return [node, str(script)], os.environ | {"NODE_PATH": str(modules / "node_modules")}

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
    pom = (_HERE / "pom.xml").read_text()

    def build(folder: Path) -> None:
        (folder / "pom.xml").write_text(pom)
        copy_jars(folder, folder, "Kafka's tools")

    jars = installed("kafka-tools", {"pom": pom}, build)
    command = [str(find_java()), "-cp", f"{jars}/*", f"org.apache.kafka.tools.{name}"]
    if name.startswith("ConsoleConsumer"):
        command[-1] = f"org.apache.kafka.tools.consumer.{name}"
    done = subprocess.run([*command, *options], input=given.encode(), capture_output=True, timeout=_TOOL_S)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def node_script(name: str, *arguments: str, given: str) -> None:
    """Run a script of this folder with kafkajs. Skips the test where there is no Node.js, or no registry for it."""
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
    done = subprocess.run(
        [node, str(_HERE / name), *arguments],
        input=given.encode(),
        env=os.environ | {"NODE_PATH": str(modules / "node_modules")},
        capture_output=True,
        timeout=_TOOL_S,
    )
    assert done.returncode == 0, done.stderr.decode()

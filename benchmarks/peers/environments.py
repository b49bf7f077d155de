"""What the peers need, installed once into the cache folder: Kafka Streams by Maven, Quix Streams and Faust by uv.

Each Python peer has an environment of its own, since they pin other versions of the Kafka client than Tidemark. Their
versions are pinned here and are part of the results.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stream.embedded.cache import installed, run_installer
from stream.embedded.java import copy_jars, find_java
from stream.embedded.kafka import KAFKA_VERSION

QUIX_VERSION: Final = "3.28.0"
FAUST_VERSION: Final = "0.15.3"
QUIX: Final = ("quix-streams", f"quixstreams=={QUIX_VERSION}")
FAUST: Final = ("faust", f"faust-streaming=={FAUST_VERSION}", "aiokafka[lz4]==0.14.0")
"""Names and requirements. Without the extra, aiokafka cannot read what is compressed with lz4."""
_JAVA_SOURCES: Final = Path(__file__).with_name("kafka_streams")
_COMPILER: Final = "org.eclipse.jdt.internal.compiler.batch.Main"
_JAVA_RELEASE: Final = "-17"


def python_of(name: str, *requirements: str) -> Path:
    """The interpreter of an environment that holds ``requirements`` alone.

    Raises:
        InstallError: it could not be made.
    """

    def build(folder: Path) -> None:
        uv = [sys.executable, "-m", "uv"]
        advice = "uv must reach PyPI or a mirror named in its settings"
        run_installer(
            # Relocatable: the folder is renamed when it is complete.
            [*uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, f"{folder / 'venv'}"],
            what="an environment",
            advice=advice,
        )
        python = f"{folder / 'venv' / 'bin' / 'python'}"
        run_installer([*uv, "pip", "install", "--quiet", "--python", python, *requirements], what=name, advice=advice)

    versions = {"requirements": " ".join(requirements), "python": sys.version}
    return installed(name, versions, build) / "venv" / "bin" / "python"


def kafka_streams_classpath() -> str:
    """The class path of the jobs on Kafka Streams, compiled.

    The compiler comes from Maven too, so that a Java without one will do.

    Raises:
        InstallError: Maven is missing, cannot fetch the jars, or the source does not compile.
    """
    sources = {path.name: path.read_text() for path in sorted(_JAVA_SOURCES.iterdir())}
    folder = installed(f"kafka-streams-{KAFKA_VERSION}", sources, _build_kafka_streams(sources))
    return os.pathsep.join([f"{folder / 'classes'}", f"{folder / 'jars'}/*"])


def _build_kafka_streams(sources: dict[str, str]) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        for name, text in sources.items():
            (folder / name).write_text(text)
        jars = folder / "jars"
        copy_jars(folder, jars, f"Kafka Streams {KAFKA_VERSION}")
        every_jar = os.pathsep.join(f"{jar}" for jar in sorted(jars.glob("*.jar")))
        java_files = [f"{folder / name}" for name in sources if name.endswith(".java")]
        compiler = [f"{find_java()}", "-cp", every_jar, _COMPILER, _JAVA_RELEASE, "-cp", every_jar]
        run_installer(
            [*compiler, "-d", f"{folder / 'classes'}", *java_files],
            what="the jobs on Kafka Streams",
            advice="their source does not compile",
        )

    return build

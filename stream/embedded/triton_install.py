"""The files the embedded Triton consists of, put together once in the cache folder: server, packages, backends.

Tells, too, whether this platform and Python can have a Triton at all (`triton_available`), so that the demo and tests
can say why they score in process instead. `triton.py` starts what is installed here.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from stream.embedded.cache import InstallError, installed, run_installer

TRITON_VERSION = "2.51"
# onnxruntime is the one in NVIDIA's image of the same Triton, so that a model too new for the image fails here as
# well. With numpy 2 Triton's stub, which is built for numpy 1, returns empty outputs.
PACKAGES = ("nvidia-pytriton==0.7.0",)
STUB_PACKAGES = ("onnxruntime==1.19.2", "numpy==1.26.4")
# The first that brings CUDA and cuDNN as wheels and finds them there.
GPU_STUB_PACKAGES = ("onnxruntime-gpu[cuda,cudnn]==1.21.1", "numpy==1.26.4")
# Pythons that have both a stub in the wheel and a wheel of the numpy above.
PYTHONS = ("3.11", "3.12", "3.10", "3.9")

PYTHON_FACTS = (
    "import sys, sysconfig; print('%d.%d' % sys.version_info[:2]); "
    "print(sysconfig.get_config_var('LIBDIR')); print(sysconfig.get_config_var('INSTSONAME')); print(sys.base_prefix)"
)


@dataclass(frozen=True)
class StubPython:
    """The Python that Triton's stub embeds: its interpreter, version (`3.11`), prefix, and the folder of libpython."""

    executable: str
    version: str
    prefix: Path
    library_folder: Path


@dataclass(frozen=True)
class TritonInstall:
    """An installed Triton: the server's executable, its backend folder, and the variables it needs."""

    server: Path
    backends: Path
    environment: dict[str, str]


def triton_available() -> tuple[bool, str]:
    """Whether an embedded Triton can run here, and when not, why and what to do, in one sentence."""
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine != "x86_64":
        return (
            False,
            f"Triton's wheel is for Linux on x86_64 alone, this is {system} on {machine}; models are scored in process",
        )
    if platform.libc_ver()[0] != "glibc":
        return False, "Triton's wheel needs a Linux with glibc (not Alpine's musl); models are scored in process"
    if _stub_python() is None:
        return False, (
            f"Triton needs a Python of {', '.join(sorted(PYTHONS, key=len))} built as a shared library beside this "
            f"{platform.python_version()}: `uv python install {PYTHONS[0]}` brings one"
        )
    return True, f"Triton {TRITON_VERSION}"


def install_triton(*, gpu: bool = False) -> TritonInstall:
    """The embedded Triton, installed from PyPI on first use (280 MB on disk; with CUDA 3.3 GB).

    Parameters
    ----------
    gpu
        With an onnxruntime that runs `KIND_GPU` instances on CUDA, from a driver that is there already.

    Raises
    ------
    InstallError
        If the platform has none or the packages cannot be installed.
    """
    available, reason = triton_available()
    python = _stub_python()
    if not available or python is None:
        raise InstallError(f"no embedded Triton: {reason}")
    backend = resources.files("stream.embedded").joinpath("onnxruntime_backend", "model.py").read_text()

    stub_packages = GPU_STUB_PACKAGES if gpu else STUB_PACKAGES

    def build(folder: Path) -> None:
        packages = folder / "packages"
        _install_packages(python, packages, ["--no-deps", *PACKAGES])
        _install_packages(python, packages, list(stub_packages))
        backends = folder / "backends"
        triton = packages / "pytriton" / "tritonserver"
        shutil.copytree(triton / "backends" / "python", backends / "python")
        stub = triton / "python_backend_stubs" / python.version / "triton_python_backend_stub"
        shutil.copy2(stub, backends / "python")
        (backends / "onnxruntime").mkdir()
        (backends / "onnxruntime" / "model.py").write_text(backend)

    versions = {"packages": " ".join(PACKAGES + stub_packages), "python": python.version, "backend": backend}
    folder = installed(f"triton-{TRITON_VERSION}", versions, build)
    packages = folder / "packages"
    libraries = [str(packages / "nvidia_pytriton.libs"), str(python.library_folder)]
    # Containers with a GPU name the driver's folder there.
    libraries += [os.environ["LD_LIBRARY_PATH"]] if gpu and os.environ.get("LD_LIBRARY_PATH") else []
    return TritonInstall(
        server=packages / "pytriton" / "tritonserver" / "bin" / "tritonserver",
        backends=folder / "backends",
        environment={
            "LD_LIBRARY_PATH": ":".join(libraries),
            # The stub looks for its standard library beside the first `python3` on the PATH, whichever version that is.
            "PATH": f"{python.prefix / 'bin'}:{os.environ.get('PATH', os.defpath)}",
            "TIDEMARK_TRITON_PACKAGES": str(packages),
        },
    )


def _install_packages(python: StubPython, target: Path, requirements: list[str]) -> None:
    run_installer(
        [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "-q",
            "--python",
            python.executable,
            "--target",
            str(target),
            *requirements,
        ],
        what=f"Triton {TRITON_VERSION}",
        advice="uv (`pip install 'tidemark[embedded]'`) must reach PyPI or the mirror it is configured for",
    )


@cache
def _stub_python() -> StubPython | None:
    """The first usable Python: the running one, else one that uv finds on this machine."""
    for executable in _candidates():
        facts = subprocess.run([executable, "-I", "-c", PYTHON_FACTS], capture_output=True, text=True)
        if facts.returncode != 0:
            continue
        version, library_folder, library, prefix = facts.stdout.splitlines()
        # Pythons that were moved after their build, uv's among them, name a LIBDIR that is not here.
        for folder in (Path(library_folder), Path(prefix) / "lib"):
            if version in PYTHONS and (folder / library).exists():
                return StubPython(executable, version, Path(prefix), folder)
    return None


def _candidates() -> Iterator[str]:
    yield sys.executable
    for version in PYTHONS:
        find = [sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", version]
        found = subprocess.run(find, capture_output=True, text=True).stdout.strip()
        if found:
            yield found

"""Compiles the fast path of the profiles role when Tidemark is installed or built, where there is a compiler.

Without one the same is done in Python, at half the speed, so a failure is a warning. Called by hatchling.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = ("stream/engine/_fast_path.pyx", "stream/profiles/_plain.pyx")


class CompileFastPath(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the compiled modules beside their sources, and into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if sys.byteorder != "little":
            self.app.display_warning("tidemark: the fast path is not compiled: it needs a little-endian machine")
            return
        os.chdir(self.root)
        try:
            made = _compile()
        except (Exception, SystemExit) as error:
            self.app.display_warning(f"tidemark: the fast path could not be compiled, Python does its work: {error}")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"] += made


def _compile() -> list[str]:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    windows = sys.platform == "win32"
    # A fused multiply-add would round once where Python rounds twice.
    flags = [] if windows else ["-O2", "-ffp-contract=off"]
    with tempfile.TemporaryDirectory() as folder:
        extensions = [
            Extension(source.removesuffix(".pyx").replace("/", "."), [source], extra_compile_args=flags)
            for source in SOURCES
        ]
        distribution = Distribution({"name": "tidemark", "ext_modules": cythonize(extensions, build_dir=folder)})
        command = distribution.get_command_obj("build_ext")
        command.inplace = True
        command.build_temp = folder
        command.ensure_finalized()
        command.run()
        return [str(Path(output)) for output in command.get_outputs()]

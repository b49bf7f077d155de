"""The folder where what the embedded servers need is installed once, for every project and test run of this user.

An install is built in a temporary folder and renamed into place, under a lock, so that any number of processes may
ask for the same one at once and none ever sees half of it. What is installed is the business of `kafka.py` and
`triton.py`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from platformdirs import user_cache_dir

CACHE_VARIABLE = "TIDEMARK_CACHE"
STAMP = ".complete"


class InstallError(RuntimeError):
    """Something an embedded server needs could not be installed; the message says what and how to get it."""


def cache_folder() -> Path:
    """The cache folder: `$TIDEMARK_CACHE`, else the platform's usual place for caches."""
    return Path(os.environ.get(CACHE_VARIABLE) or user_cache_dir("tidemark")).absolute()


def installed(name: str, versions: Mapping[str, str], build: Callable[[Path], None]) -> Path:
    """Return the folder of an install, making it first when it is not there.

    Parameters
    ----------
    name
        What the folder's name starts with, such as `kafka-4.1.1`.
    versions
        Everything the content depends on. Another value is another install, so an upgrade never meets the old files.
    build
        Fills the empty folder it is given. What it raises leaves no install behind.
    """
    stamp = json.dumps(dict(sorted(versions.items())), indent=1)
    cache = cache_folder()
    folder = cache / f"{name}-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
    if (folder / STAMP).exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / STAMP).exists():
            return folder
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}.part-", dir=cache) as part:
            # A folder inside the temporary one, so that its removal at the end finds what it made.
            content = Path(part) / "content"
            content.mkdir()
            build(content)
            (content / STAMP).write_text(stamp)
            shutil.rmtree(folder, ignore_errors=True)
            content.rename(folder)
    return folder


def run_installer(
    command: Sequence[str], *, what: str, advice: str, environment: Mapping[str, str] | None = None
) -> None:
    """Run an installer's command; when it fails, raise an InstallError with what it printed and the advice."""
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        raise InstallError(f"{what} could not be installed: {advice}\n{' '.join(command)}\n{result.stdout.strip()}")

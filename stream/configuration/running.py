"""Lets commands of a folder find the embedded parts that run in it: a small file with their addresses, held by
`tidemark up`.

The file counts only while the program that wrote it holds its lock, which the kernel gives back however that program
ends. So a file that was left behind leads nobody to a broker that is gone. It lies in ``.tidemark`` whatever
``data_dir`` is, since it is read before the settings are, and so that every command of the folder finds the same parts.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from stream.configuration.resolve import ConfigurationError, Layer

FILE: Final = Path(".tidemark") / "up.json"


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of embedded parts."""

    pid: int
    bootstrap_servers: str
    triton_url: str
    """Empty where the platform has no Triton, and workers score in process."""


class RunningFile:
    """The file while its parts run. One at a time in a folder.

    Raises:
        ConfigurationError: another program runs embedded parts in this folder.
    """

    def __init__(self, path: Path = FILE) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _lock(self._lock):
            os.close(self._lock)
            raise ConfigurationError(
                f"`tidemark up` runs in this folder already ({path.absolute()}), and a folder has one, "
                "whatever data_dir is: end it with Ctrl-C, or start this one in another folder"
            )
        os.truncate(self._lock, 0)

    def write(self, running: Running) -> None:
        """Publish the addresses; before, the file says nothing."""
        os.pwrite(self._lock, msgspec.json.encode(running), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._lock)


def running_layer(path: Path = FILE) -> Layer | None:
    """The addresses of what runs in the working folder; None where nothing does."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _lock(file):
            return None
        written = path.read_bytes()
    finally:
        os.close(file)
    if not written:
        return None
    running = msgspec.json.decode(written, type=Running)
    triton = {"url": running.triton_url} if running.triton_url else {"scorer": "in_process"}
    return Layer(
        f"{path} (`tidemark up`)", {"kafka": {"bootstrap_servers": running.bootstrap_servers}, "triton": triton}
    )


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

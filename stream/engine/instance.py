"""Who a worker is: a name that outlives the process, so that one that was killed comes back as itself within a second.

Two live workers may never share a name. A slot's lock file in the data folder keeps them apart on one machine; across
machines the group coordinator fences the older of the two, which then ends with a message.
"""

import fcntl
import os
import re
import socket
from pathlib import Path
from types import TracebackType
from typing import Final

_SLOTS: Final = 1_024
_LEGAL_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")


class InstanceTaken(RuntimeError):
    """Another worker on this machine runs under the same instance name."""


class InvalidInstance(ValueError):
    """A name that is no part of a file name or of a Kafka id."""


class Instance:
    """A locked name. Released when closed, and by the kernel when the process ends, however it ends.

    Args:
        data_folder: where lock files and local stores lie.
        role: locks of different roles do not meet.
        name: what ``--instance`` said, in letters, digits, ``.``, ``-`` and ``_``; without it the host's name and the
            first free slot.

    Raises:
        InstanceTaken: ``name`` is in use on this machine.
        InvalidInstance: ``name`` has other characters.
    """

    def __init__(self, data_folder: Path, role: str, name: str | None = None) -> None:
        folder = data_folder / "instances"
        if name is not None and not _LEGAL_NAME.fullmatch(name):
            raise InvalidInstance(f"--instance {name!r}: use letters, digits, '.', '-' and '_' only, 100 at most")
        folder.mkdir(parents=True, exist_ok=True)
        if name is not None:
            lock = _try_lock(folder / f"{role}-{name}.lock")
            if lock is None:
                raise InstanceTaken(
                    f"a worker of role {role} already runs as instance {name!r} with the data folder {data_folder}: "
                    "end it, or give this one another --instance"
                )
            self.name, self._lock = name, lock
            return
        host = socket.gethostname()
        for slot in range(_SLOTS):
            lock = _try_lock(folder / f"{role}-{host}-{slot}.lock")
            if lock is not None:
                self.name, self._lock = f"{host}-{slot}", lock
                return
        raise InstanceTaken(f"all {_SLOTS} slots of role {role} in {folder} are in use")

    def close(self) -> None:
        os.close(self._lock)

    def __enter__(self) -> "Instance":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _try_lock(path: Path) -> int | None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock

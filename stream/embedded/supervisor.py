"""The process between Tidemark and an embedded server, so that no server outlives the program that started it.

It is run as a script of its own (standard library only, no import of Tidemark), starts the server in a process group,
and holds the read end of a pipe on its standard input. One byte there is a signal to deliver; the pipe's end means
that the program is dead, however it died: then the whole group is killed and its temporary files are removed. Started
by `process.py` alone.
"""

from __future__ import annotations

import ctypes
import glob
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable

# The pipe's end is the usual sign of the parent's death. A fork of the parent may hold the pipe open, though: then the
# changed parent id tells, and this is how often it is looked at.
PARENT_CHECK_SECONDS = 0.5
# How long killed processes may take to end; only one that left its group, which no server here does, takes as long.
COLLECTING_SECONDS = 2.0
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


def deliver(signal_number: int, leader: int) -> None:
    """Send one signal to the server: SIGTERM to the leader alone, every other one to its whole group.

    Triton's stubs must outlive the server's own orderly unloading, so only the leader may hear SIGTERM.
    """
    try:
        if signal_number == signal.SIGTERM:
            os.kill(leader, signal_number)
        else:
            os.killpg(leader, signal_number)
    except ProcessLookupError:
        return  # Died on its own in the meantime: the caller's next poll sees it.


def end_group(group: int) -> None:
    """Kill what is left of a process group, and collect those that this process has inherited."""
    deadline = time.monotonic() + COLLECTING_SECONDS
    deliver(signal.SIGKILL, group)
    while time.monotonic() < deadline:
        try:
            collected, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if collected == 0:
            time.sleep(0.005)


def adopt_orphans() -> None:
    """Become the parent of the server's orphans (on Linux), so that their end is seen here and none stays a zombie."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def remove(patterns: Iterable[str]) -> None:
    """Remove every file and folder that matches one of the glob patterns."""
    for path in (match for pattern in patterns for match in glob.glob(pattern)):
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


def supervise(temporary: list[str], command: list[str]) -> int:
    """Run `command` until it ends or the parent dies, and return the exit status a shell would show.

    The glob patterns in `temporary` name what is removed when the parent has died; else that is the parent's business.
    """
    parent = os.getppid()
    adopt_orphans()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    for caught in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(caught, lambda *_: None)

    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, process_group=0)
    os.write(sys.stdout.fileno(), f"{child.pid}\n".encode())

    must_end = False
    while child.poll() is None:
        readable, _, _ = select.select([sys.stdin.fileno(), wake_read], [], [], PARENT_CHECK_SECONDS)
        must_end = os.getppid() != parent
        if wake_read in readable:
            must_end |= signal.SIGTERM in os.read(wake_read, 64)
        if sys.stdin.fileno() in readable:
            order = os.read(sys.stdin.fileno(), 1)
            must_end |= not order
            for signal_number in order:
                deliver(signal_number, child.pid)
        if must_end:
            deliver(signal.SIGKILL, child.pid)
            child.wait()
    end_group(child.pid)
    if must_end:
        remove(temporary)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    separator = sys.argv.index("--")
    sys.exit(supervise(sys.argv[1:separator], sys.argv[separator + 1 :]))

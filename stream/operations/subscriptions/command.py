"""Deliveries by a command: each attempt runs it once, with the CloudEvent as one line of JSON on its standard input.

Its exit status is the answer, by the conventions of ``sysexits.h``. Retries are not this module's business. Called by
``posting.py``.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from contextlib import suppress
from typing import Final

from stream.operations.subscriptions.outcomes import Delivery, Outcome

_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")
"""JSON has them between its tokens alone, where a space says the same."""


class UnusableCommand(ValueError):
    """Text that is no command."""


class CommandSink:
    """Runs one command for every attempt, several at once.

    Args:
        command: as one would type it; split as a shell would, and run without one.
        timeout_s: of an attempt; then it is killed with the processes that it has started.

    Raises:
        UnusableCommand: nothing is left of it, or a quote is not closed.
    """

    def __init__(self, command: str, *, timeout_s: float) -> None:
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise UnusableCommand(f"{command!r} is no command: {error}") from error
        if not self._arguments:
            raise UnusableCommand(f"{command!r} is neither a URL nor a command")
        self._timeout_s = timeout_s

    async def send(self, delivery: Delivery) -> Outcome:
        """One attempt."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._arguments, stdin=asyncio.subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            return Outcome("again", f"{self._arguments[0]} cannot be started: {error.strerror or error}")
        line = delivery.body.translate(_LINE_ENDS) + b"\n"
        try:
            async with asyncio.timeout(self._timeout_s):
                await process.communicate(line)
        except TimeoutError:
            return Outcome("again", f"not done within {self._timeout_s:g} s")
        finally:
            # Of the whole group: a shell's child may hold on to what the shell was given.
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return _outcome(process.returncode or 0)

    async def close(self) -> None:
        """Nothing is held between attempts."""


def _outcome(status: int) -> Outcome:
    detail = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
    if status == 0:
        return Outcome("taken")
    if status in (os.EX_DATAERR, os.EX_NOUSER):
        return Outcome("refused", detail)
    return Outcome("again", detail)

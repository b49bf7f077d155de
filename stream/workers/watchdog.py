"""Ends a process whose worker hangs in a call of its Kafka client, so that whoever watches over it starts another.

librdkafka was seen to wait for ever, beyond the time-out that it was given, for a coordinator that is gone (its issues
5456 and 5511). Such a call cannot be interrupted, only left: nothing is lost by it, because the broker aborts the open
transaction and the next worker goes on from the last commit. Built by ``stream.workers.process``.
"""

import os
from collections.abc import Callable
from typing import Final

import structlog

from stream.engine.background import Background

PATIENCE_S: Final = 30.0
"""Three times as long as any call may take."""
EXIT_STATUS: Final = os.EX_TEMPFAIL

_log = structlog.get_logger(__name__)


class Watchdog(Background):
    """Looks once a second, for the length of a ``with`` block.

    Args:
        waits_for: seconds for which the present call has lasted; 0.0 between calls.
        patience_s: longer than this is for ever.
    """

    def __init__(self, waits_for: Callable[[], float], patience_s: float = PATIENCE_S) -> None:
        super().__init__("tidemark-watchdog")
        self._waits_for = waits_for
        self._patience_s = patience_s

    def _run(self) -> None:
        while not self._ended.wait(min(1.0, self._patience_s / 4)):
            seconds = self._waits_for()
            if seconds > self._patience_s:
                _log.critical("Kafka's client does not come back from a call: ending", seconds=round(seconds))
                # Without any clean-up: what would clean up is what hangs.
                os._exit(EXIT_STATUS)

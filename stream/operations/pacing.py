"""Says how long to wait before the next event is sent: at most so many a second, and not faster than it happened.

It only computes; `ingest.py` reads the clock and sleeps.
"""

from __future__ import annotations

from stream.contracts.times import SECOND_MS


class Pacer:
    """Due times of events, in seconds after the start.

    Args:
        rate: events a second at most; None for no limit.
        speedup: seconds of event time that pass in one second; None for as fast as it goes.
    """

    def __init__(self, rate: float | None = None, speedup: float | None = None) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._speedup = speedup
        self._sent = 0
        self._first_event_ms: int | None = None
        self._due = 0.0

    @property
    def limited(self) -> bool:
        """Whether there is anything to wait for."""
        return self._interval > 0 or self._speedup is not None

    def due(self, event_ms: int | None) -> float:
        """When the next event is due, in seconds after the start; it never goes back.

        Args:
            event_ms: its time in epoch milliseconds; None where it has none that can be read.
        """
        self._due = max(self._due, self._sent * self._interval)
        self._sent += 1
        if self._speedup is not None and event_ms is not None:
            if self._first_event_ms is None:
                self._first_event_ms = event_ms
            self._due = max(self._due, (event_ms - self._first_event_ms) / SECOND_MS / self._speedup)
        return self._due

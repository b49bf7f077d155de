"""Notices when most of the input turns bad, which is an upstream change and not a bad record.

A partition whose share of dead letters or quarantined records goes over its bound within the window pauses until
somebody says that it may go on.
"""

from collections import deque

from stream.engine.settings import EngineSettings


class Guard:
    """Counts one partition's records over a sliding window of wall time.

    Args:
        now: monotonic seconds when the partition was taken up, with nothing counted yet.
    """

    def __init__(self, settings: EngineSettings, now: float) -> None:
        self._settings = settings
        self._samples: deque[tuple[float, int, int, int]] = deque([(now, 0, 0, 0)])
        self.tripped = ""
        """Why the partition is paused; empty while it is not."""

    def look(self, now: float, records: int, dead: int, quarantined: int) -> bool:
        """Take the running totals at ``now`` (seconds). True when the partition has to pause now."""
        samples, settings = self._samples, self._settings
        samples.append((now, records, dead, quarantined))
        # The first sample is the newest of those that the window has left behind: what it counted is not of the window.
        while len(samples) > 1 and now - samples[1][0] >= settings.dead_letter_window_ms / 1000:
            samples.popleft()
        if self.tripped:
            return False
        _, first_records, first_dead, first_quarantined = samples[0]
        seen = records - first_records
        if seen < settings.dead_letter_minimum:
            return False
        bad, locked = dead - first_dead, quarantined - first_quarantined
        if bad > seen * settings.dead_letter_share:
            self.tripped = f"{bad} of the last {seen} records became dead letters"
        elif locked > seen * settings.quarantine_share:
            self.tripped = f"{locked} of the last {seen} records belong to customers whose state cannot be read"
        return bool(self.tripped)

    def reset(self) -> None:
        """The partition goes on, and what lies behind it does not count any more."""
        newest = self._samples[-1]
        self._samples.clear()
        self._samples.append(newest)
        self.tripped = ""

"""The circuit breaker between the scoring stage and the model server.

Closed, every call goes through. After some failures in a row it opens, and nothing is asked until its pause is over;
then one call, or one look at whether the server is ready, decides. Each failure of such a trial doubles the pause, up
to a bound.
"""

from collections.abc import Callable


class CircuitBreaker:
    """States of one model server. Used on one event loop only.

    Args:
        failures: calls in a row that must fail for it to open.
        open_s, longest_open_s: first and longest pause, in seconds.
        clock: monotonic seconds.
    """

    def __init__(self, failures: int, open_s: float, longest_open_s: float, clock: Callable[[], float]) -> None:
        self._failures = failures
        self._open_s = open_s
        self._longest_open_s = longest_open_s
        self._clock = clock
        self._failed = 0
        self._pause_s = open_s
        self._open_until = 0.0
        self._open = False
        self._trying = False

    @property
    def open(self) -> bool:
        return self._open

    @property
    def healthy(self) -> bool:
        """Whether the last thing heard from the server was an answer."""
        return not self._open and self._failed == 0

    def allows(self) -> bool:
        """Whether to call now. True for an open breaker means: this call is the trial, and its outcome must be told."""
        if not self._open:
            return True
        if self._trying or self._clock() < self._open_until:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """A call was answered."""
        self._open = self._trying = False
        self._failed = 0
        self._pause_s = self._open_s

    def failed(self) -> None:
        """A call was not answered, or not as it should have been."""
        self._failed += 1
        if self._open:
            if self._trying:
                self._pause_s = min(2 * self._pause_s, self._longest_open_s)
                self._trying = False
                self._open_until = self._clock() + self._pause_s
        elif self._failed >= self._failures:
            self._open = True
            self._pause_s = self._open_s
            self._open_until = self._clock() + self._pause_s

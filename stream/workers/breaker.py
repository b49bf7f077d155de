"""The circuit breaker between the scoring stage and the model server.

Closed, every call goes through. After some failures in a row it opens, and nothing is asked until its pause is over;
then the server is looked for. Once it says that it is ready it is asked again, on probation: until an answer has come,
the first failure opens the breaker for twice as long, up to a bound.
"""

from collections.abc import Callable


class CircuitBreaker:
    """States of one model server. Used on one event loop only.

    Args:
        failures: calls in a row that must fail for it to open.
        open_s, longest_open_s: first and longest pause, in seconds.
        clock: monotonic seconds.

    Attributes:
        open: nothing may be asked.
    """

    def __init__(self, failures: int, open_s: float, longest_open_s: float, clock: Callable[[], float]) -> None:
        self.open = False
        self._failures = failures
        self._open_s = open_s
        self._longest_open_s = longest_open_s
        self._clock = clock
        self._failed = 0
        self._pause_s = open_s
        self._open_until = 0.0

    @property
    def healthy(self) -> bool:
        """Whether the last thing heard from the server was an answer."""
        return not self.open and self._failed == 0

    def may_look(self) -> bool:
        """Whether it is open and its pause is over: time to look for the server."""
        return self.open and self._clock() >= self._open_until

    def succeeded(self) -> None:
        """A call was answered."""
        self.open = False
        self._failed = 0
        self._pause_s = self._open_s

    def failed(self) -> None:
        """A call was not answered, or not as it should have been."""
        self._failed += 1
        if not self.open and self._failed >= self._failures:
            self.absent()

    def absent(self) -> None:
        """The server was looked for and cannot be used: open, or stay open for longer."""
        self.open = True
        self._open_until = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, self._longest_open_s)

    def ready(self) -> None:
        """The server was looked for and says that it is ready: call it again, on probation."""
        self.open = False
        self._failed = self._failures - 1

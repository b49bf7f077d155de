"""How long to wait after a failure: exponential back-off with full jitter, and what ``Retry-After`` asks for.

Pure: clocks and chance come from the caller. Called by ``lanes.py``, ``endpoint.py`` and ``http.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

LONGEST_RETRY_AFTER_S: Final = 900.0
"""What an endpoint asks for beyond that is cut: a mistaken header must not silence it for a day."""


class Backoff(NamedTuple):
    """Waits of ``uniform(0, min(cap, base * 2**failures))`` seconds ("full jitter": M. Brooker, Exponential Backoff
    And Jitter, AWS Architecture Blog, 2015).

    >>> Backoff(1.0, 300.0).wait_s(3, chance=lambda: 0.5)
    2.0
    """

    base_s: float
    cap_s: float

    def wait_s(self, failures: int, chance: Callable[[], float]) -> float:
        """Seconds to wait after the ``failures``-th failure in a row.

        Args:
            failures: 1 for the first.
            chance: uniform in [0, 1).
        """
        # Beyond 2**30 the cap has long been reached, and a float would overflow at last.
        return chance() * min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 30))


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` asks for (RFC 9110, 10.2.3: seconds or an HTTP date), cut at fifteen minutes; None
    where there is none that can be read.

    Args:
        now: with time zone.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER_S)

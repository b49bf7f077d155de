"""Names of the record headers that mean something to Tidemark, but for those of dead letters and CloudEvents.

Whoever writes or reads such a header takes its name from here.
"""

from collections.abc import Sequence
from typing import Final

TICK: Final = "tidemark-tick"
"""On every tick that Tidemark writes itself; a tick without it is forged. The value is the worker's version."""

REDRIVEN: Final = "tidemark-redriven"
"""On a dead letter that was put back: how often, in ASCII digits. Exempt from lateness; fires nothing."""

REDRIVEN_FROM: Final = "tidemark-redriven-from"
"""On a dead letter that was put back: where it lay when it was first refused, as ``topic:partition:offset``."""

OUTCOME: Final = "tidemark-outcome"
"""On every record of the scores topic: what became of alerts, such as ``churn_risk=cool_down``."""

ERASED_BY: Final = "tidemark-erased-by"
"""On an event of type ``erase``: who asked for it."""

ERASED_FOR: Final = "tidemark-erased-for"
"""On an event of type ``erase``: why, in words."""

RecordHeaders = Sequence[tuple[str, bytes | None]]
"""Headers as a Kafka client hands them over: in order, names may repeat, values may be null."""


def header(headers: RecordHeaders, name: str) -> bytes | None:
    """Value of the last header called ``name``; None where there is none."""
    for present, value in reversed(headers):
        if present == name:
            return value
    return None


def redrives(headers: RecordHeaders) -> int:
    """How often the record was put back from the dead letters: 0 for one that never was, or whose header is not a
    number."""
    count = header(headers, REDRIVEN)
    return int(count) if count is not None and count.isdigit() else 0

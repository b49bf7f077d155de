"""Times on the wire and inside: RFC 3339 with offset, or integer epoch milliseconds, outside; integer epoch
milliseconds inside.

Nothing here reads a clock.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_MS: Final = 0
LATEST_MS: Final = 4_102_444_800_000
"""2100-01-01T00:00:00Z. An epoch in microseconds or nanoseconds lands far beyond it and is refused instead of
believed."""

WireTime = Annotated[datetime, msgspec.Meta(tz=True)] | int
"""A time as producers write it: RFC 3339 with an offset, or integer epoch milliseconds."""


def to_epoch_ms(moment: datetime | int) -> int:
    """Epoch milliseconds of ``moment``, rounded down to the millisecond.

    Raises:
        ValueError: outside 1970 to 2100, which is what seconds, microseconds or nanoseconds taken for milliseconds
            look like.
    """
    if isinstance(moment, int):
        milliseconds = moment
    else:
        since = moment - EPOCH
        # What dividing by a millisecond gives, in a third of the time: this runs for every event.
        milliseconds = since.days * DAY_MS + since.seconds * SECOND_MS + since.microseconds // 1000
    if not EARLIEST_MS <= milliseconds < LATEST_MS:
        raise ValueError(f"time {moment} is outside 1970-01-01 to 2100-01-01: integers are epoch milliseconds")
    return milliseconds


def to_rfc3339(epoch_ms: int) -> str:
    """RFC 3339 in UTC with millisecond precision, such as ``2011-06-01T09:12:00.000Z``."""
    moment = EPOCH + timedelta(milliseconds=epoch_ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03d}Z"

"""The hours of the night in which nobody is to be alerted about: what begins in them is published when they end.

A value with one question, asked by ``episodes`` when it raises an alert. It reads no clock; the zone's rules come from
the system's time zone database.
"""

import re
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


class QuietHours(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """From ``begin`` to ``end``, each day, by the clocks of ``time_zone``; over midnight where ``end`` is the earlier.

    >>> night = QuietHours(begin="21:00", end="08:00", time_zone="Europe/London")
    >>> late = datetime(2011, 7, 1, 22, 30, tzinfo=UTC)
    >>> datetime.fromtimestamp(night.over_at(int(late.timestamp() * 1000)) / 1000, UTC).isoformat()
    '2011-07-02T07:00:00+00:00'

    Raises:
        ValueError: on construction, naming the field and what it has to be.
    """

    begin: str = ""
    """Such as ``21:00``. Empty, with ``end``: there are no quiet hours."""
    end: str = ""
    """Such as ``08:00``; from then on alerts are published again."""
    time_zone: str = "UTC"
    """Of the people who are alerted about, such as ``Europe/London``; summer time is its own business."""

    def __post_init__(self) -> None:
        if bool(self.begin) != bool(self.end):
            missing, given = ("end", "begin") if self.begin else ("begin", "end")
            raise ValueError(f"{missing} is empty and {given} is not: set both, or neither for no quiet hours")
        for name in ("begin", "end"):
            value = getattr(self, name)
            if value and not _CLOCK.fullmatch(value):
                raise ValueError(f"{name} is {value!r}: it is a time of day, 00:00 to 23:59")
        if self.begin and self.begin == self.end:
            raise ValueError(f"end is {self.end}, and so is begin: nothing would ever be raised; leave both empty")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"time_zone is {self.time_zone!r}: it is a name such as Europe/London, or UTC") from error

    def over_at(self, at: int) -> int:
        """When the quiet hours that ``at`` lies in end; ``at`` itself outside of them. Epoch milliseconds."""
        if not self.begin:
            return at
        local = datetime.fromtimestamp(at / 1000, UTC).astimezone(self._zone)
        begin, end, now = time.fromisoformat(self.begin), time.fromisoformat(self.end), local.time()
        over_midnight = end < begin
        quiet = (now >= begin or now < end) if over_midnight else begin <= now < end
        if not quiet:
            return at
        day = local.date() + timedelta(days=over_midnight and now >= begin)
        # A time that the change to summer time leaves out is taken as if the clocks had not changed yet.
        over = int(datetime.combine(day, end, self._zone).timestamp() * 1000)
        return max(over, at)

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

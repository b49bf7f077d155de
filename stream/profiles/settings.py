"""What a deployment may set about profiles: lateness, money, limits of belief, and when a score is asked for.

Read by the fold, the timers and validation; filled by ``stream.configuration``. Two workers of one deployment must run
with the same settings, because the state is a function of them too.
"""

import math

import msgspec

from stream.contracts.times import DAY_MS, HOUR_MS, MINUTE_MS


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Beyond these an event is not believed, and becomes a dead letter ``out_of_range``."""

    event_bytes: int = 1024 * 1024
    items: int = 500
    """Lines of one event."""
    id_length: int = 128
    """Characters of any id."""
    price: float = 1e6
    """Price of one unit, in the configured currency."""
    quantity: float = 1e6
    """Units of one line. The largest real order of the sample data has 80,995."""
    amount: float = 1e9
    """Sum of one event, in the configured currency."""


class ProfileSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the profiles role. Durations are milliseconds of event time.

    Raises:
        ValueError: a value that makes no sense, with what to set instead.
    """

    allowed_lateness_ms: int = 72 * HOUR_MS
    """How far an event may lie behind its own customer's newest event."""
    future_tolerance_ms: int = 5 * MINUTE_MS
    """How far an event's time may lie ahead of the broker's append time."""

    currency: str = "GBP"
    """ISO 4217 code of all amounts inside."""
    exchange_rates: dict[str, float] = {}
    """Units of ``currency`` for one unit of another currency, by its ISO 4217 code."""
    limits: Limits = Limits()

    ask_interval_ms: int = HOUR_MS
    """A customer's score is asked for at most once within it."""
    browse_every_n: int = 10
    """Browse events since the last request that make a profile ask."""
    silence_factor: float = 2.0
    """Silence is noticed after this many mean gaps between baskets without a purchase."""
    silence_min_ms: int = 14 * DAY_MS
    silence_max_ms: int = 120 * DAY_MS
    """Bounds of the first silence, whatever the rhythm."""
    one_time_silence_ms: int = 45 * DAY_MS
    """First silence of customers with one basket, who have no rhythm yet."""
    silence_growth: float = 1.5
    """Each further silence is this much longer than the one before."""
    silence_stop_ms: int = 365 * DAY_MS
    """No silence is noticed later than this after the last purchase."""

    anonymous_ttl_ms: int = 30 * DAY_MS
    """An anonymous visitor is forgotten this long after the last event."""

    def __post_init__(self) -> None:
        for name in (
            "allowed_lateness_ms",
            "future_tolerance_ms",
            "ask_interval_ms",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: set 0 or more milliseconds")
        for name in ("browse_every_n", "silence_min_ms", "one_time_silence_ms", "silence_stop_ms", "anonymous_ttl_ms"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: set 1 or more")
        if self.silence_max_ms < self.silence_min_ms:
            raise ValueError("silence_max_ms is below silence_min_ms: swap them")
        if not (self.silence_factor > 0 and self.silence_growth >= 1):
            raise ValueError("silence_factor must be above 0 and silence_growth 1 or more")
        if len(self.currency) != 3:
            raise ValueError(f"currency is {self.currency!r}: set an ISO 4217 code such as GBP")
        for currency, rate in self.exchange_rates.items():
            if not (math.isfinite(rate) and rate > 0):
                raise ValueError(f"exchange_rates.{currency} is {rate}: set {self.currency} for one {currency}")

    def rate(self, currency: str) -> float | None:
        """Units of the configured currency for one of ``currency``; empty means the configured one, None is unknown."""
        if not currency or currency == self.currency:
            return 1.0
        return self.exchange_rates.get(currency)

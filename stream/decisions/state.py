"""What decisions remember of a customer between requests: open episodes, rests after them, the last list, an open
question.

It says what the fields mean and changes none: ``decide`` and ``timers`` do. It holds no profile, but for that inside a
request which waits to be asked again. ``codec`` turns it into bytes.
"""

from __future__ import annotations

import msgspec

from stream.contracts.alerts import Alert
from stream.contracts.scores import ScoreRequest


class Episode(msgspec.Struct, array_like=True):
    """An open alert, or one that will be published when quiet hours end. Times are epoch milliseconds of event time."""

    alert: Alert
    """As last published, so that an end which no request brings (expiry, erasure) can repeat what it ends."""
    started_at: int
    expires_at: int
    last_purchase_at: int
    """The newest purchase known when the alert was raised: what moves it ends the alert."""
    held_until: int = 0
    """End of the quiet hours in which it was raised, when it will be published; 0: it was."""


class Rest(msgspec.Struct, array_like=True):
    """What a closed episode leaves behind."""

    started_at: int
    """Episodes of one kind begin at ever later times: the start is part of their name."""
    until: int
    """End of the cool-down."""


class DecisionState(msgspec.Struct, array_like=True):
    """One customer's decisions. Times are epoch milliseconds of event time; offsets are of the events topic."""

    since_offset: int = 0
    """Evidence that opened this state. What is older was before an erasure."""
    as_of: int = 0
    """The latest ``as_of`` that was answered."""
    personalization: bool = True
    marketing: bool = True
    episodes: dict[str, Episode] = {}
    """Open alerts by kind."""
    rests: dict[str, Rest] = {}
    """The last closed episode by kind."""
    raised_day: int = 0
    """Newest day, counted from the epoch, on which an alert was raised."""
    raised_today: int = 0
    """Alerts raised on ``raised_day``."""
    shown: list[str] = []
    """Item ids of the recommendation last published, in order."""
    shown_revision: int = 0
    shown_until: int = 0
    """End of its validity."""
    waiting: ScoreRequest | None = None
    """The newest request, where a fallback answered it and the model is to be asked again."""
    retry_id: str = ""
    """``request_id`` of the question that was put again and is not answered yet; empty when there is none."""

"""When a customer's score is asked for, and the requests that ask.

A question arises from an event, or from silence against the customer's own rhythm. The first one is put at once; those
within the interval after it are put together at its end. The rule sees the profile and event time alone. Called by the
fold and the timers; which events raise a question the fold decides.
"""

from typing import Final

from stream.contracts.emission import Origin
from stream.contracts.events import Event
from stream.contracts.ids import request_id
from stream.contracts.scores import RequestKind, ScoreRequest, Trigger
from stream.profiles import baskets, codec
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings

EVIDENCE: Final = 16
"""Event ids that a request carries at most; the offsets tell of the rest."""

_NEVER_ASKED: Final = 0
_ID_END: Final = b"\xff"
"""Behind every id of the evidence: a byte that UTF-8 never holds."""


def note(profile: Profile, event: Event, origin: Origin) -> None:
    """Remembers an event as evidence for the next request."""
    if profile.first_offset < 0:
        profile.first_offset = origin.offset
    evidence = profile.evidence + event.event_id.encode() + _ID_END
    if evidence.count(_ID_END) > EVIDENCE:
        evidence = evidence[evidence.index(_ID_END) + 1 :]
    profile.evidence = evidence
    if event.simulated:
        profile.simulated = True


def noted(profile: Profile) -> list[str]:
    """Ids of the newest events since the last request, oldest first."""
    return list(map(bytes.decode, profile.evidence.split(_ID_END)[:-1]))


def drop_evidence(profile: Profile, keep: int) -> None:
    """Forgets the oldest ids until ``keep`` are left."""
    surplus = profile.evidence.count(_ID_END) - keep
    if surplus > 0:
        profile.evidence = profile.evidence.split(_ID_END, surplus)[surplus]


def consider(
    profile: Profile, trigger: Trigger, origin: Origin, settings: ProfileSettings, traceparent: str = ""
) -> ScoreRequest | None:
    """The request that an event raises, as of the customer's newest event; None while it must wait, or is not allowed.

    What waits is put by the timer at the end of the interval; see ``timers.due``.
    """
    if not profile.personalization or not may_ask(profile, profile.last_time, settings):
        return None
    return ask(profile, trigger, profile.last_time, origin, traceparent)


def may_ask(profile: Profile, at: int, settings: ProfileSettings) -> bool:
    """Whether the interval since the last request has passed; if not, its end is set as a timer."""
    end = profile.asked_at + settings.ask_interval_ms
    if profile.asked_at == _NEVER_ASKED or at >= end:
        return True
    profile.ask_due = end
    return False


def ask(profile: Profile, trigger: Trigger, as_of: int, origin: Origin, traceparent: str = "") -> ScoreRequest:
    """The request for a score now, whatever the interval says.

    Args:
        profile: changed in place: what was remembered for a request is used up.
        trigger: why.
        as_of: event time of the question, not before the customer's newest event.
        origin: of the event, or of the record that moved time.
        traceparent: W3C trace context of the event.

    Returns:
        The request; its ``profile`` is the state as it is then kept, so its bytes need not be encoded again.
    """
    event_ids = noted(profile)
    first_offset, simulated = profile.first_offset, profile.simulated
    profile.asked_at = as_of
    profile.ask_due = 0
    profile.browses_since_ask = 0
    profile.evidence = b""
    profile.first_offset = -1
    profile.simulated = False
    return ScoreRequest(
        kind="score",
        request_id=request_id(profile.customer_id, trigger, as_of),
        customer_id=profile.customer_id,
        as_of=as_of,
        trigger=trigger,
        profile=codec.encode(profile),
        events_topic=origin.topic,
        events_partition=origin.partition,
        first_offset=first_offset if first_offset >= 0 else origin.offset,
        last_offset=origin.offset,
        event_ids=event_ids,
        personalization=profile.personalization,
        marketing=profile.marketing,
        mode=profile.mode,
        simulated=simulated,
        traceparent=traceparent,
    )


def tell(kind: RequestKind, profile: Profile | None, event: Event, time: int, origin: Origin) -> ScoreRequest:
    """The message that a customer is to be forgotten (``erase``; no profile), or withdrew consent (``consent``)."""
    return ScoreRequest(
        kind=kind,
        request_id=request_id(event.customer_id, kind, time),
        customer_id=event.customer_id,
        as_of=time,
        profile=b"" if profile is None else codec.encode(profile),
        events_topic=origin.topic,
        events_partition=origin.partition,
        first_offset=origin.offset,
        last_offset=origin.offset,
        event_ids=[event.event_id],
        personalization=profile is not None and profile.personalization,
        marketing=profile is not None and profile.marketing,
        mode=event.mode,
        simulated=event.simulated,
        traceparent=event.traceparent,
    )


def listen(profile: Profile, settings: ProfileSettings) -> None:
    """Arms the timer for the customer's silence, counted from the last basket; disarms it where none is left."""
    profile.silence_step = 0
    if profile.personalization and not profile.anonymous:
        _arm(profile, profile.last_time, settings)
    else:
        profile.silence_due = 0


def listen_on(profile: Profile, heard_until: int, settings: ProfileSettings) -> None:
    """Arms the timer for the next, longer silence after one was noticed at ``heard_until``."""
    profile.silence_step += 1
    _arm(profile, heard_until, settings)


def _arm(profile: Profile, after: int, settings: ProfileSettings) -> None:
    count, first, last = baskets.span(profile)
    profile.silence_due = 0
    if not count:
        return
    if count == 1:
        length = float(settings.one_time_silence_ms)
    else:
        own = (last - first) / (count - 1) * settings.silence_factor
        length = min(max(own, settings.silence_min_ms), settings.silence_max_ms)
    stop = last + settings.silence_stop_ms
    due = float(last)
    step = 0
    while due <= stop:
        due += length
        length *= settings.silence_growth
        if step >= profile.silence_step and due > after:
            profile.silence_step = step
            profile.silence_due = int(due) if due <= stop else 0
            return
        step += 1

"""Turns recorded events into training examples, by folding them through the very code that folds live events.

An example is the encoded profile that the live path would have held, at calendar cut-offs and at the instants where
the live rule asks for a score. Labels are added by ``serving.history``; tensors are made by ``serving.features``.
Called by training and evaluation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from stream.contracts.emission import Origin, Rejected
from stream.contracts.events import Event
from stream.contracts.scores import ScoreRequest, Trigger
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.profiles import codec
from stream.profiles.fold import fold
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings
from stream.profiles.timers import due, on_timer

TOPIC: Final = "history"
"""Stands for the events topic in the origin of folded records; no feature reads it."""

ELIGIBLE_DAYS: Final = 365
"""A customer is scored while a purchase lies at most so many days back."""


class Example(NamedTuple):
    """What was known of a customer at a moment: the effect of all events up to and including ``as_of``."""

    customer_id: str
    as_of: int
    """Epoch milliseconds."""
    profile: bytes
    """As ``stream.profiles.codec`` writes it."""
    trigger: Trigger | None
    """Why the live rule asked; None for a calendar cut-off."""


def by_customer(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Each customer's events in order of time; anonymous ones are left out.

    History that was loaded as ``backfill`` is taken for live, so that the instants at which the live rule asks are
    among the examples.
    """
    found: dict[str, list[Event]] = {}
    for event in events:
        if event.customer_id:
            if event.mode == "backfill":
                event = msgspec.structs.replace(event, mode="live")
            found.setdefault(event.customer_id, []).append(event)
    for own in found.values():
        own.sort(key=lambda event: to_epoch_ms(event.time))
    return found


def customer_examples(
    events: Sequence[Event], cutoffs: Sequence[int], until: int, settings: ProfileSettings
) -> Iterator[Example]:
    """The examples of one customer, in order of time.

    Args:
        events: the customer's, ascending in time.
        cutoffs: ascending, epoch milliseconds. An example of cut-off ``c`` knows what happened before ``c`` (``as_of
            = c - 1``).
        until: nothing after this moment is folded.
    """
    profile: Profile | None = None
    pending = iter(cutoffs)
    cutoff = next(pending, None)
    for offset, event in enumerate((*events, None)):
        time = until if event is None else min(to_epoch_ms(event.time), until)
        origin = Origin(TOPIC, 0, offset)
        while cutoff is not None and cutoff - 1 < time:
            profile, asked = _advance(profile, cutoff - 1, origin, settings)
            yield from asked
            if profile is not None:
                yield Example(profile.customer_id, cutoff - 1, codec.encode(profile), None)
            cutoff = next(pending, None)
        profile, asked = _advance(profile, time, origin, settings)
        yield from asked
        if event is None or to_epoch_ms(event.time) > until:
            return
        try:
            profile, request, _ = fold(profile, event, time, origin, settings)
        except Rejected:
            continue
        if request is not None and request.kind == "score":
            yield _example(request)


def _advance(
    profile: Profile | None, time: int, origin: Origin, settings: ProfileSettings
) -> tuple[Profile | None, list[Example]]:
    """Fire the timers due up to ``time``."""
    asked: list[Example] = []
    while profile is not None and 0 < (moment := due(profile)) <= time:
        profile, request = on_timer(profile, moment, origin, settings)
        if request is not None and request.kind == "score":
            asked.append(_example(request))
    return profile, asked


def _example(request: ScoreRequest) -> Example:
    return Example(request.customer_id, request.as_of, request.profile, request.trigger)


def examples(
    histories: dict[str, list[Event]],
    cutoffs: Sequence[int],
    until: int,
    settings: ProfileSettings,
    without: Collection[str] = (),
) -> Iterator[Example]:
    """Examples of all customers but those in ``without``, customer by customer; see ``customer_examples``."""
    for customer_id, events in histories.items():
        if customer_id not in without:
            yield from customer_examples(events, cutoffs, until, settings)


def calendar_cutoffs(first: int, last: int, step_days: int) -> list[int]:
    """Midnights UTC, ascending, ``step_days`` apart, the latest at or before ``last``, none before ``first``."""
    latest = last // DAY_MS * DAY_MS
    steps = max(0, (latest - first) // (step_days * DAY_MS))
    return [latest - step * step_days * DAY_MS for step in range(steps, -1, -1)]


def leaks(found: Iterable[Example], histories: dict[str, list[Event]], settings: ProfileSettings) -> Iterator[Example]:
    """Those examples that know something from after their ``as_of``.

    Each is made again from a history that ends at its ``as_of``. Features read the profile's bytes alone, so bytes
    that are equal cannot have been told of the future.
    """
    for example in found:
        past = [event for event in histories[example.customer_id] if to_epoch_ms(event.time) <= example.as_of]
        if example.trigger is None:
            again = customer_examples(past, [example.as_of + 1], example.as_of + 1, settings)
        else:
            again = customer_examples(past, [], example.as_of, settings)
        if not any(each == example for each in again):
            yield example

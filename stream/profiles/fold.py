"""Folds one event into a customer's profile. The one definition of the features, live and in training.

It refuses what comes too late, drops duplicates, and dispatches by event type; asking for a score is ``asking``'s, what
happens without events ``timers``'. Validation lies before it: it gets events that ``validation.read_event`` let pass.
Called by the profiles role, and by training over history.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import msgspec

from stream.contracts.emission import Origin, Rejected
from stream.contracts.events import Event
from stream.contracts.ids import event_id_hash, item_hash
from stream.contracts.scores import ScoreRequest, Trigger
from stream.contracts.times import HOUR_MS, to_rfc3339
from stream.profiles import (
    asking,
    bound,
    cart,
    categories,
    consent,
    decay,
    interactions,
    items,
    packing,
    purchases,
    returns,
)
from stream.profiles.cart import CartWrite
from stream.profiles.lines import Line, lines, rate
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings

FOLD_VERSION: Final = 1
"""Changes with any change of what a fold does to a profile; a new one is rolled out by rebuilding from the log."""

EVENT_IDS: Final = 256
"""Ids remembered to tell duplicates."""

_ID_SIZE: Final = bound.EVENT_ID_SIZE
_IDS_SIZE: Final = EVENT_IDS * _ID_SIZE

Outcome = Literal["folded", "duplicate"]


class Folded(NamedTuple):
    """What an event did."""

    profile: Profile | None
    """None: the state is gone."""
    request: ScoreRequest | None
    outcome: Outcome


class _Step(msgspec.Struct, frozen=True, gc=False):
    """An event on its way through the fold."""

    event: Event
    time: int
    by: int
    """32-bit hash of the event's id."""
    settings: ProfileSettings
    lines: list[Line]
    fires: bool
    """Whether it may ask for a score: not a backfill, and not too late."""


_Call = Trigger | Literal["withdrawn"] | None
"""What an event calls for: a score, the news that consent was withdrawn, or nothing."""


def fold(
    profile: Profile | None, event: Event, time: int, origin: Origin, settings: ProfileSettings, redriven: bool = False
) -> Folded:
    """Folds ``event`` into ``profile``.

    Args:
        profile: the customer's state, changed in place and handed back; None for a customer not seen before.
        event: as ``validation.read_event`` gave it; not a tick.
        time: its time, epoch milliseconds.
        origin: where it lies.
        settings: of the deployment.
        redriven: it comes back from the dead letters, so it is not refused for being late.

    Raises:
        Rejected: ``too_late`` or ``unknown_currency``; the profile is then as it was.
    """
    if event.type == "erase":
        return Folded(None, asking.tell("erase", None, event, time, origin) if event.customer_id else None, "folded")
    by = event_id_hash(event.event_id)
    key = by.to_bytes(_ID_SIZE, "little")
    fires = event.mode != "backfill"
    if profile is None:
        products = lines(event.items, rate(event, settings)) if event.items else []
        profile = Profile(customer_id=event.subject, anonymous=not event.customer_id, first_time=time, last_time=time)
    else:
        if _seen(profile.event_ids, key):
            return Folded(profile, None, "duplicate")
        if time < profile.last_time - settings.allowed_lateness_ms:
            if fires and not redriven:
                raise _too_late(profile, time, settings)
            fires = False
        products = lines(event.items, rate(event, settings)) if event.items else []
        if time > profile.last_time:
            _advance(profile, time)
        elif time < profile.first_time:
            profile.first_time = time
        if profile.anonymous and event.customer_id:
            profile.anonymous = False
            profile.expires_at = 0
    ids = profile.event_ids + key
    profile.event_ids = ids if len(ids) <= _IDS_SIZE else ids[-_IDS_SIZE:]
    if profile.anonymous:
        profile.expires_at = profile.last_time + settings.anonymous_ttl_ms
    else:
        asking.note(profile, event, origin)
    if event.mode != "backfill":
        profile.mode = event.mode
    call = _FOLDS[event.type](profile, _Step(event, time, by, settings, products, fires))
    bound.fit(profile)
    if call is None or profile.anonymous:
        request = None
    elif call == "withdrawn":
        # Told in every mode: a withdrawal must be obeyed whenever it is heard of.
        request = asking.tell("consent", profile, event, profile.last_time, origin)
    else:
        request = asking.consider(profile, call, origin, settings, event.traceparent) if fires else None
    return Folded(profile, request, "folded")


def _browse(profile: Profile, step: _Step) -> _Call:
    profile.browses += 1
    weights = decay.weights(step.time, profile.last_time)
    profile.browse_counts = decay.added(profile.browse_counts, weights, 1.0)
    if step.lines:
        _interact(profile, step, interactions.BROWSE, categories.BROWSED * weights[decay.QUARTER])
    profile.browses_since_ask += 1
    return "browse" if profile.browses_since_ask >= step.settings.browse_every_n else None


def _cart(profile: Profile, step: _Step) -> _Call:
    profile.cart_changes += 1
    weights = decay.weights(step.time, profile.last_time)
    profile.cart_counts = decay.added(profile.cart_counts, weights, 1.0)
    action = step.event.action
    was_open = action in ("clear", "remove") and cart.is_open(profile)
    if action == "clear":
        cart.clear(profile, step.time, step.by)
    else:
        taken_out = action == "remove"
        if taken_out:
            rows = [interactions.row(step.time, interactions.CART, line.item, 0.0, line.price) for line in step.lines]
            _put(profile, rows)
        else:
            _interact(profile, step, interactions.CART, categories.CARTED * weights[decay.QUARTER])
        writes = [CartWrite(line.item, 0.0 if taken_out else line.quantity, line.price) for line in step.lines]
        cart.write(profile, writes, step.time, step.by, profile.last_time - step.settings.allowed_lateness_ms)
    return "cart_emptied" if was_open and not cart.is_open(profile) else None


def _purchase(profile: Profile, step: _Step) -> _Call:
    profile.purchases += 1
    purchases.buy(profile, step.event, step.time, step.by, step.lines)
    _listen(profile, step)
    return "purchase"


def _return(profile: Profile, step: _Step) -> _Call:
    profile.returns += 1
    profile.return_counts = decay.added(profile.return_counts, decay.weights(step.time, profile.last_time), 1.0)
    order = event_id_hash(step.event.transaction_id) if step.event.transaction_id else 0
    forget_before = profile.last_time - step.settings.allowed_lateness_ms
    returns.give_back(profile, order, step.time, step.lines, forget_before)
    _listen(profile, step)
    return "return"


def _review(profile: Profile, step: _Step) -> _Call:
    profile.reviews += 1
    weights = decay.weights(step.time, profile.last_time)
    profile.review_counts = decay.added(profile.review_counts, weights, 1.0)
    rating = step.event.review.rating if step.event.review is not None else None
    if rating is not None:
        profile.rating_sum += rating * weights[decay.QUARTER]
        profile.rating_weight += weights[decay.QUARTER]
    rows = [interactions.row(step.time, interactions.REVIEW, line.item, rating or 0.0, 0.0) for line in step.lines]
    _put(profile, rows)
    return "review"


def _identify(profile: Profile, step: _Step) -> None:
    link = (step.time, item_hash(step.event.anonymous_id))
    if step.event.anonymous_id and link > (profile.linked_at, profile.linked_visitor):
        profile.linked_at, profile.linked_visitor = link


def _consent(profile: Profile, step: _Step) -> _Call:
    given = step.event.consent
    if given is None:
        return None
    return _apply(profile, consent.choose(profile, given.personalization, given.marketing, step.time), step)


def _engagement(profile: Profile, step: _Step) -> _Call:
    action = step.event.engagement.action if step.event.engagement is not None else "delivered"
    if action == "sent":
        profile.messages_sent += 1
    elif action in ("opened", "clicked"):
        weights = decay.weights(step.time, profile.last_time)
        profile.engagement_counts = decay.added(profile.engagement_counts, weights, 1.0)
        if action == "opened":
            profile.messages_opened += 1
        else:
            profile.messages_clicked += 1
    elif action == "unsubscribed":
        return _apply(profile, consent.choose(profile, None, "denied", step.time), step)
    return None


_FOLDS: Final[dict[str, Callable[[Profile, _Step], _Call]]] = {
    "browse": _browse,
    "cart": _cart,
    "purchase": _purchase,
    "return": _return,
    "review": _review,
    "identify": _identify,
    "consent": _consent,
    "engagement": _engagement,
}


def _apply(profile: Profile, change: consent.Change, step: _Step) -> _Call:
    if not profile.personalization:
        profile.ask_due = 0
        profile.silence_due = 0
    if change.personalization_granted:
        _listen(profile, step)
    return "withdrawn" if change.withdrawn else None


def _interact(profile: Profile, step: _Step, code: int, part: float) -> None:
    products, time = step.lines, step.time
    _put(profile, [interactions.row(time, code, line.item, line.quantity, line.price) for line in products])
    seen = [line.category for line in products]
    if any(seen):
        profile.categories = categories.added(profile.categories, seen, part)


def _put(profile: Profile, rows: list[bytes]) -> None:
    if rows:
        profile.interactions, fallen = interactions.put(profile.interactions, rows)
        if fallen:
            profile.items = items.count(profile.items, fallen, profile.last_time)


def _listen(profile: Profile, step: _Step) -> None:
    # History alone arms nothing, else the end of a backfill would be followed by everybody's silence at once.
    if step.fires or profile.silence_due:
        asking.listen(profile, step.settings)


def _advance(profile: Profile, time: int) -> None:
    """Moves the newest event's time on, and with it, now and then, the landmark of all that decays."""
    eras = time // decay.ERA_MS - profile.last_time // decay.ERA_MS
    profile.last_time = time
    if not eras:
        return
    profile.browse_counts = decay.moved(profile.browse_counts, eras)
    profile.cart_counts = decay.moved(profile.cart_counts, eras)
    profile.purchase_counts = decay.moved(profile.purchase_counts, eras)
    profile.return_counts = decay.moved(profile.return_counts, eras)
    profile.review_counts = decay.moved(profile.review_counts, eras)
    profile.engagement_counts = decay.moved(profile.engagement_counts, eras)
    profile.purchase_amounts = decay.moved(profile.purchase_amounts, eras)
    quarter = decay.HALF_LIVES[decay.QUARTER]
    profile.rating_sum = decay.moved_value(profile.rating_sum, eras, quarter)
    profile.rating_weight = decay.moved_value(profile.rating_weight, eras, quarter)
    profile.categories = categories.moved(profile.categories, eras)
    profile.items = items.moved(profile.items, eras)


def _seen(event_ids: bytes, key: bytes) -> bool:
    return key in event_ids and packing.place(event_ids, key, _ID_SIZE) >= 0


def _too_late(profile: Profile, time: int, settings: ProfileSettings) -> Rejected:
    hours = (profile.last_time - time) / HOUR_MS
    return Rejected(
        "too_late",
        f"{hours:.1f} h behind the customer's newest event ({to_rfc3339(profile.last_time)}), allowed are "
        f"{settings.allowed_lateness_ms / HOUR_MS:g} h: re-drive it to change totals and histories without an alert",
        "$.time",
    )

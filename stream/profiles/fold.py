"""Folds one event into a customer's profile. The one definition of the features, live and in training.

It refuses what comes too late, drops duplicates, and dispatches by event type; asking for a score is ``asking``'s, what
happens without events ``timers``'. Validation lies before it: it gets events that ``validation.read_event`` let pass.
Called by the profiles role, and by training over history.
"""

from typing import Final, Literal, NamedTuple

from stream.contracts.emission import Origin, Rejected
from stream.contracts.events import ConsentChoice, Event
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
from stream.profiles.lines import Line, lines
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings

FOLD_VERSION: Final = 1
"""Changes with any change of what a fold does to the fields that a profile had before, or asks; a new one is rolled out
by folding the log anew. A field that is added at the end, and filled from then on, is no other fold."""

_ID_SIZE: Final = bound.EVENT_ID_SIZE
_IDS_SIZE: Final = bound.EVENT_IDS * _ID_SIZE

Outcome = Literal["folded", "duplicate"]


_new: Final = tuple.__new__
"""Makes a named tuple in half the time that calling its class takes: one is made for every event."""


class Folded(NamedTuple):
    """What an event did."""

    profile: Profile | None
    """None: the state is gone."""
    request: ScoreRequest | None
    outcome: Outcome


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
        ValueError: the event is a tick.
    """
    if event.type == "erase":
        return Folded(None, asking.tell("erase", None, event, time, origin) if event.customer_id else None, "folded")
    by = event_id_hash(event.event_id)
    key = by.to_bytes(_ID_SIZE, "little")
    fires = event.mode != "backfill"
    if profile is None:
        products = lines(event, settings) if event.items else []
        profile = Profile(customer_id=event.subject, anonymous=not event.customer_id, first_time=time, last_time=time)
    else:
        if packing.place(profile.event_ids, key, _ID_SIZE) >= 0:
            return Folded(profile, None, "duplicate")
        last_time = profile.last_time
        if time < last_time - settings.allowed_lateness_ms:
            if fires and not redriven:
                raise _too_late(profile, time, settings)
            fires = False
        products = lines(event, settings) if event.items else []
        if time > last_time:
            eras = time // decay.ERA_MS - last_time // decay.ERA_MS
            profile.last_time = time
            if eras:
                _move_landmark(profile, eras)
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
    call = _change(profile, event, time, by, products, settings, fires)
    bound.fit(profile)
    request = None
    if call is not None and not profile.anonymous:
        if call == "withdrawn":
            # Told in every mode: a withdrawal must be obeyed whenever it is heard of.
            request = asking.tell("consent", profile, event, profile.last_time, origin)
        elif fires:
            request = asking.consider(profile, call, origin, settings, event.traceparent)
    return _new(Folded, (profile, request, "folded"))


def _change(
    profile: Profile, event: Event, time: int, by: int, products: list[Line], settings: ProfileSettings, fires: bool
) -> _Call:
    """What the event's type changes. ``by``: 32-bit hash of its id; ``fires``: whether it may ask for a score."""
    match event.type:
        case "browse":
            return _browse(profile, time, products, settings)
        case "cart":
            return _cart(profile, event, time, by, products, settings)
        case "purchase":
            profile.purchases += 1
            order = event_id_hash(event.transaction_id) if event.transaction_id else by
            purchases.buy(profile, order, time, by, products)
            _listen(profile, settings, fires)
            return "purchase"
        case "return":
            _return(profile, event, time, products, settings)
            _listen(profile, settings, fires)
            return "return"
        case "review":
            return _review(profile, event, time, products)
        case "identify":
            _identify(profile, event, time)
            return None
        case "consent":
            given = event.consent
            if given is None:
                return None
            return _choose(profile, given.personalization, given.marketing, time, settings, fires)
        case "engagement":
            return _engagement(profile, event, time, settings, fires)
        case _:
            raise ValueError(f"an event of type {event.type} changes no profile: leave it to the engine")


def _browse(profile: Profile, time: int, products: list[Line], settings: ProfileSettings) -> _Call:
    profile.browses += 1
    weights = decay.weights(time, profile.last_time)
    profile.browse_counts = decay.counted(profile.browse_counts, weights)
    if products:
        _interact(profile, time, products, interactions.BROWSE, categories.BROWSED * weights[decay.QUARTER])
    profile.browses_since_ask += 1
    return "browse" if profile.browses_since_ask >= settings.browse_every_n else None


def _cart(profile: Profile, event: Event, time: int, by: int, products: list[Line], settings: ProfileSettings) -> _Call:
    profile.cart_changes += 1
    weights = decay.weights(time, profile.last_time)
    profile.cart_counts = decay.counted(profile.cart_counts, weights)
    taken_out = event.action == "remove"
    was_open = (taken_out or event.action == "clear") and cart.is_open(profile)
    if event.action == "clear":
        cart.clear(profile, time, by)
    elif products:
        if taken_out:
            rows = [interactions.row(time, interactions.CART, line.item, 0.0, line.price) for line in products]
            items.interact(profile, rows)
        else:
            _interact(profile, time, products, interactions.CART, categories.CARTED * weights[decay.QUARTER])
        cart.write(profile, products, taken_out, time, by, profile.last_time - settings.allowed_lateness_ms)
    return "cart_emptied" if was_open and not cart.is_open(profile) else None


def _return(profile: Profile, event: Event, time: int, products: list[Line], settings: ProfileSettings) -> None:
    profile.returns += 1
    profile.return_counts = decay.counted(profile.return_counts, decay.weights(time, profile.last_time))
    order = event_id_hash(event.transaction_id) if event.transaction_id else 0
    returns.give_back(profile, order, time, products, profile.last_time - settings.allowed_lateness_ms)


def _review(profile: Profile, event: Event, time: int, products: list[Line]) -> _Call:
    profile.reviews += 1
    weights = decay.weights(time, profile.last_time)
    profile.review_counts = decay.counted(profile.review_counts, weights)
    rating = event.review.rating if event.review is not None else None
    if rating is not None:
        profile.rating_sum += rating * weights[decay.QUARTER]
        profile.rating_weight += weights[decay.QUARTER]
    if products:
        rows = [interactions.row(time, interactions.REVIEW, line.item, rating or 0.0, 0.0) for line in products]
        items.interact(profile, rows)
    return "review"


def _identify(profile: Profile, event: Event, time: int) -> None:
    link = (time, item_hash(event.anonymous_id))
    if event.anonymous_id and link > (profile.linked_at, profile.linked_visitor):
        profile.linked_at, profile.linked_visitor = link


def _engagement(profile: Profile, event: Event, time: int, settings: ProfileSettings, fires: bool) -> _Call:
    action = event.engagement.action if event.engagement is not None else "delivered"
    if action == "sent":
        profile.messages_sent += 1
    elif action in ("opened", "clicked"):
        weights = decay.weights(time, profile.last_time)
        profile.engagement_counts = decay.counted(profile.engagement_counts, weights)
        if action == "opened":
            profile.messages_opened += 1
        else:
            profile.messages_clicked += 1
    elif action == "unsubscribed":
        return _choose(profile, None, "denied", time, settings, fires)
    return None


def _choose(
    profile: Profile,
    personalization: ConsentChoice | None,
    marketing: ConsentChoice | None,
    time: int,
    settings: ProfileSettings,
    fires: bool,
) -> _Call:
    change = consent.choose(profile, personalization, marketing, time)
    if not profile.personalization:
        profile.ask_due = 0
        profile.silence_due = 0
    if change.personalization_granted:
        _listen(profile, settings, fires)
    return "withdrawn" if change.withdrawn else None


def _interact(profile: Profile, time: int, products: list[Line], code: int, part: float) -> None:
    rows = []
    for line in products:
        rows.append(interactions.row(time, code, line.item, line.quantity, line.price))
        if line.category:
            profile.categories = categories.added(profile.categories, line.category, part)
    items.interact(profile, rows)


def _listen(profile: Profile, settings: ProfileSettings, fires: bool) -> None:
    # History alone arms nothing, else the end of a backfill would be followed by everybody's silence at once.
    if fires or profile.silence_due:
        asking.listen(profile, settings)


def _move_landmark(profile: Profile, eras: int) -> None:
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


def _too_late(profile: Profile, time: int, settings: ProfileSettings) -> Rejected:
    hours = (profile.last_time - time) / HOUR_MS
    return Rejected(
        "too_late",
        f"{hours:.1f} h behind the customer's newest event ({to_rfc3339(profile.last_time)}), allowed are "
        f"{settings.allowed_lateness_ms / HOUR_MS:g} h: re-drive it to change totals and histories without an alert",
        "$.time",
    )

"""The gate before the fold: a record's bytes become an event that can be believed, or a refusal that says what to do.

Everything that can be judged from one record alone is judged here; lateness needs the profile and is judged by the
fold, the partition by the engine. Called by the profiles role, and by ``tidemark ingest`` before it writes.
"""

import re
from typing import Final

import msgspec

from stream.contracts import cloudevents
from stream.contracts.codec import decode_event
from stream.contracts.emission import Rejected
from stream.contracts.events import Event, Item
from stream.contracts.headers import TICK, RecordHeaders, header
from stream.contracts.times import to_epoch_ms, to_rfc3339
from stream.profiles.settings import Limits, ProfileSettings

_PATH: Final = re.compile(r" - at `(\$[^`]*)`$")
_MISSING: Final = re.compile(r"missing required field `(\w+)`")
EARLIEST_MS: Final = 631_152_000_000
"""1990-01-01T00:00:00Z. Epoch seconds taken for milliseconds lie in January 1970."""
_SMALLEST_QUANTITY: Final = 0.001
_EVENT_TYPES: Final = "browse, cart, purchase, return, review, identify, consent, engagement, erase"


def read_event(
    value: bytes | None, key: bytes | None, headers: RecordHeaders, append_time: int, settings: ProfileSettings
) -> Event:
    """The event in a record. Its ``time`` is epoch milliseconds on return, whatever it was on the wire.

    Args:
        value: JSON of an event, or a CloudEvent around it.
        key: the customer, else the anonymous visitor, in UTF-8; none for a tick.
        headers: as the client handed them over.
        append_time: when the broker appended the record, epoch milliseconds.
        settings: of the deployment.

    Raises:
        Rejected: with a code of the table "Bad input", the field's path and what to do.
    """
    limits = settings.limits
    if value is None:
        raise Rejected("not_json", "a record without a value: to forget a customer send an event of type erase")
    if len(value) > limits.event_bytes:
        raise Rejected("too_large", f"{len(value)} bytes, allowed are {limits.event_bytes}: split the event")
    event = _decode(cloudevents.unwrap(value, headers))
    event.time = _time(event, append_time, settings)
    if event.type == "tick":
        _tick(key, headers)
        return event
    _identity(event, key, limits.id_length)
    if event.type != "browse":
        _content(event)
    if event.items:
        _items(event, settings)
    return event


def event_time(event: Event) -> int:
    """When it happened, epoch milliseconds.

    Raises:
        ValueError: outside 1970 to 2100; never for an event from ``read_event``.
    """
    return to_epoch_ms(event.time)


def _decode(value: bytes) -> Event:
    try:
        return decode_event(value)
    except msgspec.ValidationError as error:
        raise _shape(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("not_json", f"not JSON in UTF-8: {error}") from None


def _shape(text: str) -> Rejected:
    found = _PATH.search(text)
    path = found[1] if found else "$"
    reason = _PATH.sub("", text)
    missing = _MISSING.search(reason)
    if missing:
        return Rejected("missing_field", f"every event needs {missing[1]}", f"{path}.{missing[1]}")
    if path == "$.type":
        return Rejected("unknown_type", f"{reason}: send one of {_EVENT_TYPES}", path)
    return Rejected("wrong_shape", reason, path)


def _time(event: Event, append_time: int, settings: ProfileSettings) -> int:
    try:
        time = to_epoch_ms(event.time)
    except ValueError as error:
        raise Rejected("out_of_range", str(error), "$.time") from None
    if time < EARLIEST_MS:
        raise Rejected(
            "out_of_range", f"{to_rfc3339(time)} is long ago: integers are epoch milliseconds, not seconds", "$.time"
        )
    if time > append_time + settings.future_tolerance_ms:
        raise Rejected(
            "in_future",
            f"{to_rfc3339(time)} is ahead of the broker's {to_rfc3339(append_time)}: correct the producer's clock",
            "$.time",
        )
    return time


def _tick(key: bytes | None, headers: RecordHeaders) -> None:
    if key is not None or header(headers, TICK) is None:
        raise Rejected("forged_tick", "only Tidemark writes ticks: leave time to it", "$.type")


def _identity(event: Event, key: bytes | None, longest: int) -> None:
    if not event.event_id:
        raise _missing("event_id")
    subject = event.customer_id or event.anonymous_id
    if not subject:
        raise Rejected("missing_field", "send customer_id, or anonymous_id for a visitor", "$.customer_id")
    if (
        len(event.event_id) > longest
        or len(event.customer_id) > longest
        or len(event.anonymous_id) > longest
        or len(event.transaction_id) > longest
        or len(event.session_id) > longest
    ):
        raise _too_long_id(event, longest)
    if key != subject.encode():
        raise Rejected(
            "wrong_key", "the record's key is not the customer_id (else the anonymous_id): send it as the key in UTF-8"
        )


def _content(event: Event) -> None:
    """What each type cannot do without."""
    match event.type:
        case "purchase" if not event.items:
            raise _missing("items")
        case "cart" if event.action is None:
            raise _missing("action")
        case "cart" if event.action != "clear" and not event.items:
            raise _missing("items")
        case "return" if not event.items and not event.transaction_id:
            raise Rejected("missing_field", "a return names its items, or the transaction_id it undoes", "$.items")
        case "review":
            if event.review is None:
                raise _missing("review")
            if event.review.rating is not None and not 1 <= event.review.rating <= 5:
                raise _out_of_range("$.review.rating", event.review.rating, "from 1 (worst) to 5 (best)")
        case "identify" if not (event.customer_id and event.anonymous_id):
            raise Rejected(
                "missing_field", "identify ties an anonymous_id to a customer_id: send both", "$.anonymous_id"
            )
        case "consent" if event.consent is None:
            raise _missing("consent")
        case "engagement" if event.engagement is None:
            raise _missing("engagement")
        case _:
            pass


def _items(event: Event, settings: ProfileSettings) -> None:
    limits = settings.limits
    rate = settings.rate(event.currency)
    if rate is None:
        raise Rejected(
            "unknown_currency",
            f"no rate from {event.currency} to {settings.currency}: set exchange_rates.{event.currency}, then re-drive",
            "$.currency",
        )
    if len(event.items) > limits.items:
        raise _out_of_range("$.items", len(event.items), f"at most {limits.items} lines: split the event")
    amount = 0.0
    priced = event.type == "purchase"
    for index, item in enumerate(event.items):
        amount += item_amount(index, item, rate, limits, priced)
    if amount > limits.amount:
        raise _out_of_range("$.items", amount, f"at most {limits.amount:g} {settings.currency} in sum")


def item_amount(index: int, item: Item, rate: float, limits: Limits, priced: bool) -> float:
    """Amount of a line in the configured currency."""
    if not item.item_id:
        raise Rejected("missing_field", "every item needs an item_id", f"$.items[{index}].item_id")
    if len(item.item_id) > limits.id_length:
        raise _too_long(f"$.items[{index}].item_id", len(item.item_id), limits.id_length)
    quantity = 1.0 if item.quantity is None else item.quantity
    if not _SMALLEST_QUANTITY <= quantity <= limits.quantity:
        raise _out_of_range(
            f"$.items[{index}].quantity",
            quantity,
            f"from {_SMALLEST_QUANTITY} to {limits.quantity:g}: returns have a type",
        )
    if item.price is None:
        if priced:
            raise Rejected("missing_field", "a purchase needs the price of each item", f"$.items[{index}].price")
        return 0.0
    price = item.price * rate
    if not 0 <= price <= limits.price:
        raise _out_of_range(f"$.items[{index}].price", item.price, f"from 0 to {limits.price:g} for one unit")
    return price * quantity


def _missing(name: str) -> Rejected:
    return Rejected("missing_field", f"an event of this type needs {name}", f"$.{name}")


def _too_long_id(event: Event, longest: int) -> Rejected:
    ids = ("event_id", "customer_id", "anonymous_id", "transaction_id", "session_id")
    name = max(ids, key=lambda name: len(getattr(event, name)))
    return _too_long(f"$.{name}", len(getattr(event, name)), longest)


def _too_long(path: str, length: int, longest: int) -> Rejected:
    return Rejected("out_of_range", f"{length} characters: send at most {longest}", path)


def _out_of_range(path: str, found: float, allowed: str) -> Rejected:
    return Rejected("out_of_range", f"{found:g} is not believed: send {allowed}", path)

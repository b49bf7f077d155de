"""What other trackers call things: the events and fields of Google Analytics 4 and Segment in our words.

The tables are the mapping; the two functions walk them and return JSON-ready mappings in the shape of ``Event``.
Nothing is guessed: an event without a counterpart is refused, and validation is left to the reader of the event. For
whoever puts an existing stream of such events into ``customer.events.v1``.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from stream.contracts.emission import Rejected
from stream.contracts.ids import content_id

Json = Mapping[str, Any]

GA4_EVENTS: Final[dict[str, dict[str, Any]]] = {
    "page_view": {"type": "browse"},
    "view_item": {"type": "browse"},
    "view_item_list": {"type": "browse"},
    "select_item": {"type": "browse"},
    "view_search_results": {"type": "browse"},
    "add_to_wishlist": {"type": "browse"},
    "add_to_cart": {"type": "cart", "action": "add"},
    "remove_from_cart": {"type": "cart", "action": "remove"},
    "view_cart": {"type": "cart", "action": "set"},
    "begin_checkout": {"type": "cart", "action": "set"},
    "purchase": {"type": "purchase"},
    "refund": {"type": "return"},
    "login": {"type": "identify"},
    "sign_up": {"type": "identify"},
}
"""Event name of GA4 to what it says of ours. ``view_cart`` and ``begin_checkout`` list the whole cart."""

SEGMENT_EVENTS: Final[dict[str, dict[str, Any]]] = {
    "Products Searched": {"type": "browse"},
    "Product List Viewed": {"type": "browse"},
    "Product Clicked": {"type": "browse"},
    "Product Viewed": {"type": "browse"},
    "Product Added to Wishlist": {"type": "browse"},
    "Product Added": {"type": "cart", "action": "add"},
    "Product Removed": {"type": "cart", "action": "remove"},
    "Cart Viewed": {"type": "cart", "action": "set"},
    "Checkout Started": {"type": "cart", "action": "set"},
    "Order Completed": {"type": "purchase"},
    "Order Refunded": {"type": "return"},
    "Order Cancelled": {"type": "return"},
    "Product Reviewed": {"type": "review"},
    "Signed In": {"type": "identify"},
    "Signed Up": {"type": "identify"},
    "Email Delivered": {"type": "engagement", "engagement": {"action": "delivered", "channel": "email"}},
    "Email Opened": {"type": "engagement", "engagement": {"action": "opened", "channel": "email"}},
    "Email Link Clicked": {"type": "engagement", "engagement": {"action": "clicked", "channel": "email"}},
    "Unsubscribed": {"type": "engagement", "engagement": {"action": "unsubscribed", "channel": "email"}},
}
"""Event name of Segment's e-commerce, B2B and e-mail specifications to what it says of ours."""

GA4_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "event_id": ("params.event_id",),
    "time": ("timestamp_micros", "event_timestamp"),
    "customer_id": ("user_id",),
    "anonymous_id": ("client_id", "app_instance_id", "user_pseudo_id"),
    "session_id": ("params.ga_session_id", "params.session_id"),
    "transaction_id": ("params.transaction_id", "ecommerce.transaction_id"),
    "currency": ("params.currency",),
    "channel": ("platform",),
    "country": ("geo.country", "user_location.country_id"),
    "items": ("params.items", "items"),
}
"""Field of an event to where GA4 keeps it, first come first served: Measurement Protocol, then BigQuery export."""

SEGMENT_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "event_id": ("messageId",),
    "time": ("timestamp", "originalTimestamp", "sentAt", "receivedAt"),
    "customer_id": ("userId",),
    "anonymous_id": ("anonymousId",),
    "session_id": ("context.sessionId", "properties.session_id"),
    "transaction_id": ("properties.order_id",),
    "currency": ("properties.currency",),
    "channel": ("channel", "context.channel"),
    "country": ("context.location.country",),
    "items": ("properties.products",),
    "review.rating": ("properties.rating",),
    "review.text": ("properties.review_body",),
}

GA4_ITEM_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "item_id": ("item_id",),
    "item_name": ("item_name",),
    "item_category": ("item_category",),
    "item_category2": ("item_category2",),
    "item_category3": ("item_category3",),
    "item_category4": ("item_category4",),
    "item_category5": ("item_category5",),
    "item_brand": ("item_brand",),
    "item_variant": ("item_variant",),
    "price": ("price",),
    "quantity": ("quantity",),
}

SEGMENT_ITEM_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "item_id": ("product_id", "sku"),
    "item_name": ("name",),
    "item_category": ("category",),
    "item_brand": ("brand",),
    "item_variant": ("variant",),
    "price": ("price",),
    "quantity": ("quantity",),
}


def from_ga4(event: Json) -> dict[str, Any]:
    """Our event from one of GA4's: a row of the BigQuery export, or an event of the Measurement Protocol with the
    fields of its request (``client_id``, ``user_id``, ``timestamp_micros``) beside ``name`` and ``params``.

    GA4 has no event ids: without a parameter ``event_id``, the id is derived from the content, so that the same event
    mapped twice has one id.

    Raises:
        Rejected: ``unknown_type`` for an event that has no counterpart.
    """
    name = event.get("name") or event.get("event_name") or ""
    params = event.get("params") or _exported_params(event.get("event_params") or ())
    mapped = _mapped({**event, "params": params}, GA4_FIELDS, GA4_ITEM_FIELDS, _counterpart("GA4", name, GA4_EVENTS))
    if "time" in mapped:
        mapped["time"] = int(mapped["time"]) // 1_000
    mapped.setdefault("event_id", content_id(event))
    return mapped


def from_segment(event: Json) -> dict[str, Any]:
    """Our event from one of Segment's ``track`` or ``identify`` calls.

    A product event's own properties are its one item.

    Raises:
        Rejected: ``unknown_type`` for a call or an event that has no counterpart.
    """
    call = event.get("type", "track")
    if call == "identify":
        counterpart: Json = {"type": "identify"}
    else:
        counterpart = _counterpart("Segment", event.get("event", "") if call == "track" else call, SEGMENT_EVENTS)
    properties = event.get("properties") or {}
    if "products" not in properties and ("product_id" in properties or "sku" in properties):
        event = {**event, "properties": {**properties, "products": [properties]}}
    mapped = _mapped(event, SEGMENT_FIELDS, SEGMENT_ITEM_FIELDS, counterpart)
    mapped.setdefault("event_id", content_id(event))
    return mapped


def _counterpart(tracker: str, name: str, events: Mapping[str, Json]) -> Json:
    if name not in events:
        raise Rejected("unknown_type", f"{tracker} event {name!r} has no counterpart: leave it out, or map it yourself")
    return events[name]


def _mapped(
    event: Json, fields: Mapping[str, tuple[str, ...]], item_fields: Mapping[str, tuple[str, ...]], counterpart: Json
) -> dict[str, Any]:
    mapped: dict[str, Any] = dict(counterpart)
    for path, sources in fields.items():
        found = _first(event, sources)
        if found is None:
            continue
        name, _, inner = path.partition(".")
        if name == "items":
            mapped["items"] = [_lifted(item, item_fields) for item in found]
        elif not inner:
            mapped[name] = found if name == "time" else str(found)
        elif counterpart["type"] == name:
            mapped.setdefault(name, {})[inner] = found
    return mapped


def _lifted(source: Json, fields: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    return {name: found for name, sources in fields.items() if (found := _first(source, sources)) is not None}


def _first(source: Json, paths: Iterable[str]) -> Any:
    for path in paths:
        found: Any = source
        for step in path.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        if found is not None:
            return found
    return None


def _exported_params(params: Iterable[Json]) -> dict[str, Any]:
    """BigQuery export: ``[{key, value: {string_value, int_value, float_value, double_value}}]``, one of them set."""
    return {
        param["key"]: next((value for value in param["value"].values() if value is not None), None) for param in params
    }

"""What GA4 and Segment send becomes an event of ours, one row of the table for each name of theirs."""

from typing import Any

import msgspec
import pytest

from stream.contracts.emission import Rejected
from stream.contracts.events import Event
from stream.contracts.mapping import GA4_EVENTS, SEGMENT_EVENTS, from_ga4, from_segment

GA4_ITEM = {
    "item_id": "85123A",
    "item_name": "White hanging heart",
    "item_brand": "Acme",
    "item_category": "Home",
    "item_category2": "Decoration",
    "item_variant": "white",
    "price": 2.55,
    "quantity": 6,
    "coupon": "SUMMER",
}
ITEM = {name: value for name, value in GA4_ITEM.items() if name != "coupon"}
PRODUCT = {
    "product_id": "85123A",
    "sku": "sku-1",
    "name": "White hanging heart",
    "brand": "Acme",
    "category": "Home",
    "variant": "white",
    "price": 2.55,
    "quantity": 6,
    "position": 3,
}
SEGMENT_ITEM = {name: value for name, value in ITEM.items() if name != "item_category2"}

GA4_TABLE: dict[str, dict[str, Any]] = {
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

SEGMENT_TABLE: dict[str, dict[str, Any]] = {
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


def read(mapped: dict[str, Any]) -> Event:
    return msgspec.json.decode(msgspec.json.encode(mapped), type=Event)


def test_no_name_is_mapped_that_the_tables_here_do_not_hold() -> None:
    assert GA4_EVENTS.keys() == GA4_TABLE.keys()
    assert SEGMENT_EVENTS.keys() == SEGMENT_TABLE.keys()


@pytest.mark.parametrize("name", GA4_TABLE)
def test_ga4_name(name: str) -> None:
    mapped = from_ga4(
        {
            "client_id": "c.1",
            "user_id": "13085",
            "timestamp_micros": "1306919520000000",
            "name": name,
            "params": {
                "event_id": "e-1",
                "ga_session_id": 42,
                "transaction_id": "555200",
                "currency": "GBP",
                "value": 15.3,
                "items": [GA4_ITEM],
            },
        }
    )
    assert mapped == GA4_TABLE[name] | {
        "event_id": "e-1",
        "time": 1_306_919_520_000,
        "customer_id": "13085",
        "anonymous_id": "c.1",
        "session_id": "42",
        "transaction_id": "555200",
        "currency": "GBP",
        "items": [ITEM],
    }
    assert read(mapped).time == 1_306_919_520_000


def test_ga4_row_of_the_bigquery_export() -> None:
    row = {
        "event_name": "purchase",
        "event_timestamp": 1_306_919_520_000_123,
        "user_id": None,
        "user_pseudo_id": "c.1",
        "platform": "WEB",
        "geo": {"country": "United Kingdom"},
        "event_params": [
            {"key": "ga_session_id", "value": {"string_value": None, "int_value": 42}},
            {"key": "currency", "value": {"string_value": "GBP"}},
            {"key": "empty", "value": {"string_value": None}},
        ],
        "ecommerce": {"transaction_id": "555200"},
        "items": [GA4_ITEM],
    }
    mapped = from_ga4(row)
    assert mapped.pop("event_id") == from_ga4(dict(reversed(row.items())))["event_id"]
    assert mapped == {
        "type": "purchase",
        "time": 1_306_919_520_000,
        "anonymous_id": "c.1",
        "session_id": "42",
        "transaction_id": "555200",
        "currency": "GBP",
        "channel": "WEB",
        "country": "United Kingdom",
        "items": [ITEM],
    }


def test_another_ga4_event_has_another_id() -> None:
    event = {"name": "purchase", "client_id": "c.1", "timestamp_micros": 1_306_919_520_000_000}
    assert from_ga4(event)["event_id"] != from_ga4(event | {"timestamp_micros": 1_306_919_520_001_000})["event_id"]


@pytest.mark.parametrize("name", SEGMENT_TABLE)
def test_segment_name(name: str) -> None:
    mapped = from_segment(
        {
            "type": "track",
            "event": name,
            "messageId": "m-1",
            "userId": "13085",
            "anonymousId": "a-1",
            "timestamp": "2011-06-01T09:12:00.000Z",
            "channel": "server",
            "context": {"sessionId": 7, "location": {"country": "GB"}},
            "properties": {"order_id": "555200", "currency": "GBP", "revenue": 15.3, "products": [PRODUCT]},
        }
    )
    assert mapped == SEGMENT_TABLE[name] | {
        "event_id": "m-1",
        "time": "2011-06-01T09:12:00.000Z",
        "customer_id": "13085",
        "anonymous_id": "a-1",
        "session_id": "7",
        "transaction_id": "555200",
        "currency": "GBP",
        "channel": "server",
        "country": "GB",
        "items": [SEGMENT_ITEM],
    }
    assert read(mapped).type == SEGMENT_TABLE[name]["type"]


def test_segment_product_event_is_its_own_item() -> None:
    mapped = from_segment({"event": "Product Added", "messageId": "m", "properties": {"sku": "s-1", "price": 2.0}})
    assert mapped["items"] == [{"item_id": "s-1", "price": 2.0}]


def test_segment_review() -> None:
    properties = {"product_id": "85123A", "review_id": "r-1", "review_body": "Lovely", "rating": 5}
    mapped = from_segment({"type": "track", "event": "Product Reviewed", "messageId": "m", "properties": properties})
    assert mapped["review"] == {"rating": 5, "text": "Lovely"}
    assert mapped["items"] == [{"item_id": "85123A"}]


def test_segment_identify_call() -> None:
    mapped = from_segment({"type": "identify", "messageId": "m", "userId": "13085", "anonymousId": "a-1", "traits": {}})
    assert mapped == {"type": "identify", "event_id": "m", "customer_id": "13085", "anonymous_id": "a-1"}


def test_segment_event_without_an_id_gets_one_from_its_content() -> None:
    event = {"type": "track", "event": "Order Completed", "userId": "13085"}
    assert from_segment(event)["event_id"] == from_segment(dict(reversed(event.items())))["event_id"]


@pytest.mark.parametrize(
    "refused",
    [
        lambda: from_ga4({"name": "scroll"}),
        lambda: from_ga4({}),
        lambda: from_segment({"type": "track", "event": "Coupon Entered"}),
        lambda: from_segment({"type": "page", "event": "Order Completed"}),
        lambda: from_segment({"type": "track"}),
    ],
)
def test_what_has_no_counterpart_is_refused(refused: Any) -> None:
    with pytest.raises(Rejected, match="has no counterpart"):
        refused()

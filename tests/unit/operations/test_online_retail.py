"""Invoice lines to events: which lines count, what a return undoes, in which order events come."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.events import Event
from stream.contracts.times import to_epoch_ms
from stream.operations.online_retail import ConversionReport, InvoiceLine, UnsortedError, events_of

NOON = datetime(2010, 6, 1, 12, 0)


def line(invoice: str = "500000", **fields: object) -> InvoiceLine:
    usual = {
        "invoice": invoice,
        "stock_code": "85123A",
        "description": " WHITE  HANGING HEART ",
        "quantity": 6,
        "invoice_time": NOON,
        "price": 2.55,
        "customer_id": 13085,
        "country": "United Kingdom",
    }
    return InvoiceLine(**{**usual, **fields})  # type: ignore[arg-type]


def converted(*lines: InvoiceLine) -> tuple[list[Event], ConversionReport]:
    report = ConversionReport()
    events = list(events_of(lines, report))
    assert report.lines == report.kept + report.dropped.total()
    return events, report


def test_an_invoice_is_one_event_with_a_line_for_each_item() -> None:
    events, report = converted(line(), line(stock_code="22423 ", price=12.75, quantity=1))
    (event,) = events
    assert (event.type, event.event_id, event.transaction_id) == ("purchase", "invoice-500000", "500000")
    assert (event.customer_id, event.country, event.currency) == ("13085", "GB", "GBP")
    assert [(item.item_id, item.price, item.quantity) for item in event.items] == [
        ("85123A", 2.55, 6),
        ("22423", 12.75, 1),
    ]
    assert event.items[0].item_name == "WHITE HANGING HEART"
    assert report.events == {"purchase": 1}


def test_variants_of_a_product_share_a_group() -> None:
    event = converted(line(stock_code="85123a"), line(stock_code="22423"))[0][0]
    assert [item.item_group_id for item in event.items] == ["85123", ""]


@pytest.mark.parametrize(("month", "offset"), [(1, 0), (6, 1)])
def test_times_are_london_times_with_their_offset(month: int, offset: int) -> None:
    event = converted(line(invoice_time=datetime(2010, month, 1, 12)))[0][0]
    assert not isinstance(event.time, int)
    assert event.time.utcoffset() == timedelta(hours=offset)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"customer_id": None}, "no customer"),
        ({"invoice": "A500000"}, "adjustment of bad debt"),
        ({"stock_code": "POST"}, "not a product (postage, fee, voucher, manual)"),
        ({"stock_code": "gift_0001_20"}, "not a product (postage, fee, voucher, manual)"),
        ({"stock_code": "85123ABCD"}, "not a product (postage, fee, voucher, manual)"),
        ({"price": 0.0}, "price is not positive"),
        ({"quantity": -6}, "quantity has the wrong sign"),
        ({"quantity": 0}, "quantity has the wrong sign"),
        ({"invoice": "C500000", "quantity": 6}, "quantity has the wrong sign"),
    ],
)
def test_what_is_no_purchase_line_is_left_out_and_said(fields: dict[str, object], reason: str) -> None:
    events, report = converted(line(**fields))  # type: ignore[arg-type]
    assert events == []
    assert report.dropped == {reason: 1}


def test_an_exact_duplicate_counts_once_and_a_second_line_of_an_item_twice() -> None:
    events, report = converted(line(), line(), line(quantity=7))
    assert [item.quantity for item in events[0].items] == [6, 7]
    assert report.dropped["exact duplicate"] == 1


def bought(invoice: str, days: int, quantity: int = 6, **fields: object) -> InvoiceLine:
    return line(invoice, invoice_time=NOON + timedelta(days=days), quantity=quantity, **fields)


def test_a_return_names_the_purchase_of_as_many_units_even_where_a_newer_one_is_larger() -> None:
    events, report = converted(bought("1", 0), bought("2", 1, 12), bought("C3", 2, -6))
    (returned,) = [event for event in events if event.type == "return"]
    assert (returned.transaction_id, returned.event_id) == ("1", "invoice-C3-of-1")
    assert returned.items[0].quantity == 6
    assert (report.returned_lines, report.matched_lines) == (1, 1)


def test_a_part_that_comes_back_names_the_newest_larger_purchase() -> None:
    events, _ = converted(bought("1", 0, 12), bought("2", 1, 12), bought("C3", 2, -5))
    assert events[-1].transaction_id == "2"


def test_what_came_back_cannot_come_back_again() -> None:
    events, report = converted(bought("1", 0), bought("C2", 1, -6), bought("C3", 2, -6))
    assert [event.transaction_id for event in events if event.type == "return"] == ["1", ""]
    assert (report.returned_lines, report.matched_lines) == (2, 1)


@pytest.mark.parametrize(
    "other",
    [{"customer_id": 2}, {"stock_code": "22423"}, {"quantity": -7}],
    ids=["customer", "item", "quantity"],
)
def test_a_return_of_something_else_names_no_purchase(other: dict[str, object]) -> None:
    events, _ = converted(bought("1", 0), bought("C2", 1, **{"quantity": -6, **other}))  # type: ignore[arg-type]
    assert events[-1].transaction_id == ""


def test_a_return_after_more_than_a_year_names_no_purchase() -> None:
    assert converted(bought("1", 0), bought("C2", 366, -6))[0][-1].transaction_id == ""
    assert converted(bought("1", 0), bought("C2", 365, -6))[0][-1].transaction_id == "1"


def test_a_cancellation_of_two_orders_is_a_return_of_each() -> None:
    events, _ = converted(
        bought("1", 0), bought("2", 1, stock_code="22423"), bought("C3", 2, -6), bought("C3", 2, -6, stock_code="22423")
    )
    returns = [event for event in events if event.type == "return"]
    assert [(event.event_id, event.transaction_id) for event in returns] == [
        ("invoice-C3-of-1", "1"),
        ("invoice-C3-of-2", "2"),
    ]


def test_an_invoice_whose_lines_are_minutes_apart_stays_one_event() -> None:
    minutes = [line("1"), line("2"), line("1", invoice_time=NOON + timedelta(minutes=9), quantity=1)]
    events, _ = converted(*minutes)
    assert [(event.transaction_id, len(event.items)) for event in events] == [("1", 2), ("2", 1)]


def test_lines_that_are_not_sorted_are_refused() -> None:
    lines = [
        line("1"),
        line("2", invoice_time=NOON + timedelta(hours=2)),
        line("3", invoice_time=NOON - timedelta(hours=2)),
    ]
    with pytest.raises(UnsortedError, match="sort the file by invoice_time"):
        converted(*lines)


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 40), st.integers(1, 5), st.booleans()), max_size=60))
def test_events_come_in_order_of_time_and_no_unit_is_returned_twice(
    drawn: Iterable[tuple[int, int, int, bool]],
) -> None:
    lines = [
        line(
            ("C" if cancelled else "") + str(invoice),
            invoice_time=NOON + timedelta(minutes=minute // 30 * 30),
            quantity=-units if cancelled else units,
        )
        for minute, invoice, units, cancelled in sorted(drawn)
    ]
    events, _ = converted(*lines)
    times = [to_epoch_ms(event.time) for event in events]
    assert times == sorted(times)
    sold: dict[str, float] = {}
    for event in events:
        sign = 1 if event.type == "purchase" else -1
        for item in event.items:
            if event.transaction_id:
                sold[event.transaction_id] = sold.get(event.transaction_id, 0) + sign * (item.quantity or 0)
    assert all(left >= 0 for left in sold.values())

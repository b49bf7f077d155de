"""Turns the invoice lines of the Online Retail II data set into canonical events: an invoice is one event.

Which lines count, and which returns belong to which purchase, is decided here and nowhere else. Files are the work of
`convert.py`, which calls this module; the training set is made from the events, never from the raw lines.

Source of the data: D. Chen, Online Retail II, UCI Machine Learning Repository, DOI 10.24432/C5CG6D, CC BY 4.0.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from stream.contracts.events import Event, EventType, Item

SHOP_TIME: Final = ZoneInfo("Europe/London")
CURRENCY: Final = "GBP"

PRODUCT_CODE: Final = re.compile(r"\d{5}[A-Z]{0,3}")
"""A product; everything else (POST, M, BANK CHARGES, gift_0001_20 …) is a fee, a voucher or an adjustment."""

INVOICE_OPEN_FOR: Final = timedelta(minutes=30)
"""An invoice is complete this long after its first line. The longest one in the data took nine minutes to key in."""

MATCH_WITHIN: Final = timedelta(days=365)
"""A return is matched with purchases of the year before; 99.8 % of those that match at all lie within it."""

COUNTRIES: Final = {
    "Australia": "AU",
    "Austria": "AT",
    "Bahrain": "BH",
    "Belgium": "BE",
    "Bermuda": "BM",
    "Brazil": "BR",
    "Canada": "CA",
    "Cyprus": "CY",
    "Czech Republic": "CZ",
    "Denmark": "DK",
    "EIRE": "IE",
    "Finland": "FI",
    "France": "FR",
    "Germany": "DE",
    "Greece": "GR",
    "Hong Kong": "HK",
    "Iceland": "IS",
    "Israel": "IL",
    "Italy": "IT",
    "Japan": "JP",
    "Korea": "KR",
    "Lebanon": "LB",
    "Lithuania": "LT",
    "Malta": "MT",
    "Netherlands": "NL",
    "Nigeria": "NG",
    "Norway": "NO",
    "Poland": "PL",
    "Portugal": "PT",
    "RSA": "ZA",
    "Saudi Arabia": "SA",
    "Singapore": "SG",
    "Spain": "ES",
    "Sweden": "SE",
    "Switzerland": "CH",
    "Thailand": "TH",
    "USA": "US",
    "United Arab Emirates": "AE",
    "United Kingdom": "GB",
    "Unspecified": "",
}
"""ISO 3166-1 alpha-2 by the data set's name. Names without a code of their own (Channel Islands) stay names."""


class UnsortedError(ValueError):
    """Lines came in an order in which an invoice cannot be known to be complete."""


class InvoiceLine(NamedTuple):
    """One row of the data set, as it is in the file."""

    invoice: str
    """Starts with C for a cancellation and with A for an adjustment of bad debt."""
    stock_code: str
    description: str | None
    quantity: int
    """Units; negative in a cancellation."""
    invoice_time: datetime
    """Local time of the shop, without a zone, to the minute."""
    price: float
    """Pounds sterling per unit."""
    customer_id: int | None
    country: str | None


@dataclass
class ConversionReport:
    """What became of the lines. ``lines == kept + sum(dropped.values())`` once the conversion has ended."""

    lines: int = 0
    kept: int = 0
    events: Counter[str] = field(default_factory=Counter)
    """By event type."""
    returned_lines: int = 0
    matched_lines: int = 0
    """Returned lines for which the purchase was found."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Lines by the reason for which they are no part of any event."""


class _Sold(NamedTuple):
    time: datetime
    invoice: str
    quantity: int


class _Purchases:
    """The purchases of the last year that a return can still undo, by customer and item."""

    def __init__(self) -> None:
        self._sold: defaultdict[tuple[str, str], list[_Sold]] = defaultdict(list)
        self._by_age: deque[tuple[datetime, tuple[str, str]]] = deque()

    def add(self, customer: str, item: str, sold: _Sold) -> None:
        self._sold[customer, item].append(sold)
        self._by_age.append((sold.time, (customer, item)))

    def forget_before(self, time: datetime) -> None:
        while self._by_age and self._by_age[0][0] < time:
            _, pair = self._by_age.popleft()
            kept = [sold for sold in self._sold.pop(pair, ()) if sold.time >= time]
            if kept:
                self._sold[pair] = kept

    def undo(self, customer: str, item: str, quantity: int) -> str:
        """The invoice that sold what comes back, and its stock lowered; empty where none did.

        The newest purchase of exactly as many units is taken, else the newest of more: a part of an order came back.
        """
        candidates = self._sold.get((customer, item), [])
        for fits in (int.__eq__, int.__gt__):
            for index in reversed(range(len(candidates))):
                sold = candidates[index]
                if fits(sold.quantity, quantity):
                    candidates[index] = sold._replace(quantity=sold.quantity - quantity)
                    return sold.invoice
        return ""


def events_of(
    lines: Iterable[InvoiceLine], report: ConversionReport, keep: Callable[[str], bool] = lambda customer_id: True
) -> Iterator[Event]:
    """Events in order of time; memory is bounded by the open invoices and a year of purchases.

    Args:
        lines: sorted by ``invoice_time``, as published.
        report: counts are added to it while the events are consumed.
        keep: whether a customer is wanted; what the others bought bears on nobody else's events.

    Raises:
        UnsortedError: if a line is older than what was already completed.
    """
    purchases = _Purchases()
    open_invoices: dict[str, list[InvoiceLine]] = {}
    completed_until = datetime.min
    for line in lines:
        report.lines += 1
        if line.invoice_time < completed_until:
            raise UnsortedError(
                f"invoice {line.invoice} of {line.invoice_time} comes after younger ones: sort the file by invoice_time"
            )
        horizon = line.invoice_time - INVOICE_OPEN_FOR
        while open_invoices:
            oldest = next(iter(open_invoices.values()))
            if oldest[0].invoice_time >= horizon:
                break
            completed_until = oldest[0].invoice_time
            yield from _complete(open_invoices.pop(oldest[0].invoice), purchases, report)
        reason = _unusable(line) or ("" if keep(str(line.customer_id)) else "customer not wanted")
        if reason:
            report.dropped[reason] += 1
        else:
            open_invoices.setdefault(line.invoice, []).append(line)
    for invoice in open_invoices.values():
        yield from _complete(invoice, purchases, report)


def _unusable(line: InvoiceLine) -> str:
    """Why a line is no part of any event; empty when it is."""
    if line.customer_id is None:
        return "no customer"
    if line.invoice.startswith("A"):
        return "adjustment of bad debt"
    if PRODUCT_CODE.fullmatch(_item_id(line)) is None:
        return "not a product (postage, fee, voucher, manual)"
    if line.price <= 0:
        return "price is not positive"
    if (line.quantity < 0) != _is_cancellation(line) or line.quantity == 0:
        return "quantity has the wrong sign"
    return ""


def _complete(lines: list[InvoiceLine], purchases: _Purchases, report: ConversionReport) -> Iterator[Event]:
    distinct = list(dict.fromkeys(lines))
    report.dropped["exact duplicate"] += len(lines) - len(distinct)
    report.kept += len(distinct)
    first = distinct[0]
    if not _is_cancellation(first):
        for line in distinct:
            purchases.add(str(line.customer_id), _item_id(line), _Sold(line.invoice_time, line.invoice, line.quantity))
        report.events["purchase"] += 1
        yield _event("purchase", f"invoice-{first.invoice}", first.invoice, first.invoice_time, distinct)
        return
    purchases.forget_before(first.invoice_time - MATCH_WITHIN)
    by_origin: dict[str, list[InvoiceLine]] = {}
    for line in distinct:
        origin = purchases.undo(str(line.customer_id), _item_id(line), -line.quantity)
        by_origin.setdefault(origin, []).append(line)
        report.returned_lines += 1
        report.matched_lines += bool(origin)
    for origin, returned in by_origin.items():
        report.events["return"] += 1
        event_id = f"invoice-{first.invoice}" + (f"-of-{origin}" if origin else "")
        yield _event("return", event_id, origin, first.invoice_time, returned)


def _event(kind: EventType, event_id: str, transaction: str, at: datetime, lines: list[InvoiceLine]) -> Event:
    first = lines[0]
    country = first.country or ""
    return Event(
        event_id=event_id,
        type=kind,
        time=at.replace(tzinfo=SHOP_TIME),
        customer_id=str(first.customer_id),
        transaction_id=transaction,
        currency=CURRENCY,
        items=[_item(line) for line in lines],
        country=COUNTRIES.get(country, country),
    )


def _item(line: InvoiceLine) -> Item:
    item_id = _item_id(line)
    product = item_id[:5]
    return Item(
        item_id=item_id,
        item_name=" ".join((line.description or "").split()),
        # The letters behind the five digits are colours and sizes of one product.
        item_group_id=product if product != item_id else "",
        price=line.price,
        quantity=abs(line.quantity),
    )


def _item_id(line: InvoiceLine) -> str:
    return line.stock_code.strip().upper()


def _is_cancellation(line: InvoiceLine) -> bool:
    return line.invoice.startswith("C")

"""Shows a record of any of our topics as one line for people: what happened to whom, and why.

Pure: bytes in, text out. What cannot be read is shown as it is, never refused. Called by `tidemark tail` and the demo's
report.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from stream.contracts import topics
from stream.contracts.alerts import AlertEvent
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.codec import (
    decode_alert_event,
    decode_catalogue_item,
    decode_control,
    decode_event,
    decode_open_alert,
    decode_prediction,
    decode_recommendation,
    decode_score,
    decode_score_request,
)
from stream.contracts.dead_letters import read_verdict
from stream.contracts.events import Event
from stream.contracts.recommendations import Recommendation
from stream.contracts.scores import ModelStamp
from stream.contracts.times import to_epoch_ms, to_rfc3339
from stream.operations.sentences import sentence
from stream.operations.tail import TailedRecord

SHOWN_BYTES: Final = 120
"""Of a value that is no message of ours."""
_SHOWN_ITEMS: Final = 3
_SHOWN_REASONS: Final = 3

CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What a shop's visitors can put into names and ids, and a terminal obeys."""

NameOf = Callable[[str], str]
"""Name of an item by its id; the id itself where the catalogue does not know it."""


def line(logical: str, record: TailedRecord, name_of: NameOf) -> str:
    """One record of the topic ``logical`` as a line of text, without a line break.

    Control characters, which a shop's visitors can put into names and ids, are shown as U+FFFD: on a terminal they
    would break the line, or command it.
    """
    return CONTROL_CHARACTERS.sub("\ufffd", _line(logical, record, name_of))


def _line(logical: str, record: TailedRecord, name_of: NameOf) -> str:
    if logical == topics.DEAD_LETTERS:
        return _dead_letter(record)
    if record.value is None:
        return f"{_text(record.key)}  gone (null)"
    render = _RENDERED.get(logical)
    if render is None:
        return f"{_text(record.key)}  {len(record.value)} bytes"
    try:
        return render(record.value, name_of)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return f"{_text(record.key)}  {_text(record.value[:SHOWN_BYTES])}"


def minute(moment: datetime | int | str) -> str:
    """A time to the minute in UTC."""
    if isinstance(moment, str):
        return moment[:16].replace("T", " ")
    return minute(to_rfc3339(to_epoch_ms(moment)))


def alert_line(envelope: AlertEvent) -> str:
    """One transition of an alert."""
    alert = envelope.data
    end = f" ({alert.resolve_reason.replace('_', ' ')})" if alert.resolve_reason else ""
    worth = f"{alert.value_at_risk.amount:,.0f} {alert.value_at_risk.currency}"
    why = "" if end else " ".join(["", *map(sentence, alert.reasons[:_SHOWN_REASONS])])
    return (
        f"{minute(alert.as_of)}  {alert.status} {alert.kind.replace('_', ' ')}{end}, customer {alert.customer_id}: "
        f"score {alert.score:.2f}, {alert.severity}, {worth} at risk.{why}"
    )


def event_detail(event: Event) -> str:
    """What an event is about, in a few words; empty where its type says it all."""
    amount = sum((item.price or 0.0) * (1 if item.quantity is None else item.quantity) for item in event.items)
    return {
        "purchase": f"{len(event.items)} items, {amount:,.2f} {event.currency}".rstrip(),
        "return": f"{len(event.items)} items, {amount:,.2f} {event.currency}".rstrip(),
        "cart": f"{event.action or 'add'} {_names(event)}",
        "review": f"{_names(event)}: {event.review.rating:g} of 5" if event.review and event.review.rating else "",
        "engagement": event.engagement.action if event.engagement else "",
    }.get(event.type, _names(event))


def _event(value: bytes, name_of: NameOf) -> str:
    event: Event = decode_event(value)
    made_up = " (simulated)" if event.simulated else ""
    detail = event_detail(event)
    return f"{minute(event.time)}  {event.type}{made_up}, customer {event.subject}: {detail}".rstrip(": ")


def _names(event: Event) -> str:
    shown = [item.item_name or item.item_id for item in event.items[:_SHOWN_ITEMS]]
    more = len(event.items) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _alert(value: bytes, name_of: NameOf) -> str:
    return alert_line(decode_alert_event(value))


def _open_alert(value: bytes, name_of: NameOf) -> str:
    alert = decode_open_alert(value)
    return (
        f"{minute(alert.as_of)}  open {alert.kind.replace('_', ' ')}, customer {alert.customer_id}: "
        f"score {alert.score:.2f}, {alert.severity}, until {minute(alert.expires_at)}"
    )


def _recommendation(value: bytes, name_of: NameOf) -> str:
    found: Recommendation = decode_recommendation(value)
    names = "; ".join(name_of(item.item_id) for item in found.items)
    fallback = " (fallback)" if found.fallback else ""
    return f"{minute(found.as_of)}  customer {found.customer_id}, list {found.revision}{fallback}: {names}"


def _prediction(value: bytes, name_of: NameOf) -> str:
    found = decode_prediction(value)
    model = _model(found.model, found.fallback)
    return f"{minute(found.as_of)}  customer {found.customer_id}: {_churn(found.churn)}, by {model}"


def _score(value: bytes, name_of: NameOf) -> str:
    found = decode_score(value)
    answer = found.answer
    return (
        f"{minute(found.as_of)}  customer {found.customer_id} ({found.trigger}): {_churn(answer.churn)}, "
        f"by {_model(answer.model, answer.fallback)}"
    )


def _score_request(value: bytes, name_of: NameOf) -> str:
    found = decode_score_request(value)
    if found.kind == "tick":
        return f"{minute(found.as_of)}  tick"
    return f"{minute(found.as_of)}  {found.kind}, customer {found.customer_id}, because of {found.trigger}"


def _item(value: bytes, name_of: NameOf) -> str:
    item: CatalogueItem = decode_catalogue_item(value)
    price = "" if item.price is None else f", {item.price:,.2f} {item.currency}".rstrip()
    return f"{item.item_id}  {item.item_name}{price}, {item.availability.replace('_', ' ')}"


def _control(value: bytes, name_of: NameOf) -> str:
    found = decode_control(value)
    return f"{minute(found.effective_at)}  {found.kind} {found.version}" + (f": {found.reason}" if found.reason else "")


def _dead_letter(record: TailedRecord) -> str:
    try:
        verdict = read_verdict(record.headers)
    except ValueError as error:
        return f"{_text(record.key)}  {error}"
    origin = verdict.origin
    field = f" at {verdict.field}" if verdict.field else ""
    return (
        f"{minute(verdict.timestamp)}  {verdict.code}{field}: {verdict.message}  "
        f"[{origin.topic} {origin.partition}:{origin.offset}]  {_text((record.value or b'')[:SHOWN_BYTES])}"
    )


def _churn(churn: dict[str, float]) -> str:
    return "churn " + ", ".join(f"{probability:.2f} in {horizon}" for horizon, probability in churn.items())


def _model(stamp: ModelStamp, fallback: bool) -> str:
    return f"{stamp.name} {stamp.version}" + (" (fallback)" if fallback else "")


def _text(value: bytes | None) -> str:
    return "-" if value is None else " ".join(value.decode(errors="replace").split())


_RENDERED: Final[dict[str, Callable[[bytes, NameOf], str]]] = {
    topics.EVENTS: _event,
    topics.ALERTS: _alert,
    topics.ALERTS_HOLDOUT: _alert,
    topics.ALERTS_UNDELIVERED: _alert,
    topics.ALERTS_OPEN: _open_alert,
    topics.RECOMMENDATIONS: _recommendation,
    topics.PREDICTIONS: _prediction,
    topics.SCORES: _score,
    topics.SCORE_REQUESTS: _score_request,
    topics.CATALOGUE: _item,
    topics.CONTROL: _control,
}

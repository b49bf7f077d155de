"""Reads of an event what a loader must know of it: key, id, time and items; everything else is left as it stands.

It judges nothing: what cannot be read gets no key and becomes a dead letter of the stream. Called by `ingest.py`.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final

import msgspec
import orjson

from stream.contracts.cloudevents import unwrap
from stream.contracts.emission import Rejected
from stream.contracts.times import to_epoch_ms


class NamedItem(msgspec.Struct, gc=False):
    """What an event's line says of a product."""

    item_id: str = ""
    item_name: str = ""
    item_group_id: str = ""
    item_brand: str = ""
    item_variant: str = ""
    item_category: str = ""
    item_category2: str = ""
    item_category3: str = ""
    item_category4: str = ""
    item_category5: str = ""
    price: float | None = None


class _Fields(msgspec.Struct, gc=False):
    event_id: str = ""
    customer_id: str = ""
    anonymous_id: str = ""
    time: datetime | int | None = None
    currency: str = ""
    items: list[NamedItem] = []


_decode: Final = msgspec.json.Decoder(_Fields).decode


class Envelope(msgspec.Struct, gc=False):
    """What a loader knows of an event."""

    key: bytes | None
    """The record's key: the customer, else the anonymous visitor; None where neither can be read."""
    needs_id: bool
    time_ms: int | None
    """Event time in epoch milliseconds; None where there is none that can be read."""
    currency: str
    items: list[NamedItem]

    def rewritten(self, value: bytes, backfill: bool) -> bytes:
        """The event with what it lacks: an id from its content, and the mode of history.

        The same content has the same id: an event that is loaded twice counts once, and so do two that are equal to
        the byte. What is no JSON object, or too deeply nested, stays as it is: the stream says what is wrong with it.
        """
        try:
            event: Any = orjson.loads(unwrap(value))
            if not isinstance(event, dict):
                return value
            if self.needs_id:
                event["event_id"] = hashlib.blake2b(value, digest_size=16).hexdigest()
            if backfill:
                event["mode"] = "backfill"
            return orjson.dumps(event)
        except (orjson.JSONDecodeError, orjson.JSONEncodeError, Rejected, RecursionError):
            return value


_UNREADABLE: Final = Envelope(None, False, None, "", [])


def read_envelope(value: bytes) -> Envelope:
    """What can be read of an event, plain or as a CloudEvent in structured JSON."""
    try:
        fields = _decode(unwrap(value))
    except (msgspec.DecodeError, UnicodeDecodeError, Rejected, RecursionError):
        return _UNREADABLE
    subject = fields.customer_id or fields.anonymous_id
    if not subject:
        # It gets its id all the same, so that the dead letter names what the sender has to mend: the customer.
        return Envelope(None, not fields.event_id, None, "", [])
    return Envelope(subject.encode(), not fields.event_id, _epoch_ms(fields.time), fields.currency, fields.items)


def _epoch_ms(moment: datetime | int | None) -> int | None:
    if moment is None or (isinstance(moment, datetime) and moment.tzinfo is None):
        return None
    try:
        return to_epoch_ms(moment)
    except ValueError:
        return None

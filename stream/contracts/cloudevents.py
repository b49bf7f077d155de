"""CloudEvents 1.0 at the edge: takes a shop's event out of its envelope, structured or binary (Kafka protocol binding).

What comes out is the JSON of an ``Event``, so that there is one decoder and one validation behind it. A record that
is no CloudEvent passes at the price of one search in its bytes. Called by ``stream.profiles`` before it decodes.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Final

import msgspec

from stream.contracts.emission import Rejected
from stream.contracts.headers import RecordHeaders

STRUCTURED: Final = b"application/cloudevents+json"
_HEADER_PREFIX: Final = "ce_"
_SPECVERSION: Final = b'"specversion"'
_VERSION_SUFFIX: Final = re.compile(r"\.v\d+$")


class _Structured(msgspec.Struct, gc=False):
    """A CloudEvent in JSON. Only what tells it from a plain event is required here."""

    specversion: str
    id: str = ""
    type: str = ""
    time: str = ""
    subject: str = ""
    traceparent: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")
    data_base64: str = ""
    event_id: msgspec.Raw = msgspec.Raw(b"")


_encode: Final = msgspec.json.Encoder().encode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_structured: Final = msgspec.json.Decoder(_Structured).decode


def unwrap(value: bytes, headers: RecordHeaders = ()) -> bytes:
    """JSON of the event inside a CloudEvent; ``value`` itself where the record is none.

    What the data says wins over the envelope: ``id`` fills ``event_id``, ``type`` (``com.shop.purchase``,
    ``io.tidemark.event.purchase.v1`` or plain ``purchase``) fills ``type``, ``time`` and ``traceparent`` fill theirs,
    and ``subject`` fills ``customer_id`` unless the data names a customer or an anonymous visitor.

    Raises:
        Rejected: ``wrong_shape`` for a broken envelope or another version of CloudEvents; ``not_json`` for data that is
            not a JSON object.
    """
    declared = False
    if headers:
        attributes = {name[len(_HEADER_PREFIX) :]: text for name, text in headers if name.startswith(_HEADER_PREFIX)}
        if "specversion" in attributes:
            return _unwrap_binary(value, attributes)
        declared = any(
            name.lower() == "content-type" and media_type is not None and media_type.lower().startswith(STRUCTURED)
            for name, media_type in headers
        )
    if declared or _SPECVERSION in value:
        return _unwrap_structured(value, declared)
    return value


def _unwrap_binary(value: bytes, attributes: Mapping[str, bytes | None]) -> bytes:
    try:
        text = {name: (raw or b"").decode() for name, raw in attributes.items()}
    except UnicodeDecodeError:
        raise Rejected("wrong_shape", "a ce_ header is not UTF-8: send CloudEvents attributes as UTF-8 text") from None
    return _filled(value or b"{}", text, "$")


def _unwrap_structured(value: bytes, declared: bool) -> bytes:
    try:
        envelope = _decode_structured(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if declared:
            raise Rejected("wrong_shape", f"not a CloudEvent in structured JSON: {error}") from None
        return value  # A plain event that merely mentions the word; its own decoder judges it.
    if bytes(envelope.event_id):
        return value  # No CloudEvents attribute has an underscore: a plain event with a field that we do not know.
    attributes = {
        name: getattr(envelope, name) for name in ("specversion", "id", "type", "time", "subject", "traceparent")
    }
    if not envelope.data_base64:
        return _filled(bytes(envelope.data), attributes, "$.data")
    try:
        fields = b64decode(envelope.data_base64, validate=True)
    except binascii.Error:
        raise Rejected("wrong_shape", "data_base64 is not base64", "$.data_base64") from None
    return _filled(fields, attributes, "$.data_base64")


def _filled(fields: bytes, attributes: Mapping[str, str], path: str) -> bytes:
    """The event's own JSON, with what it lacks taken from the attributes."""
    if attributes["specversion"] != "1.0":
        raise Rejected(
            "wrong_shape", f"CloudEvents {attributes['specversion']!r}: send specversion 1.0", "$.specversion"
        )
    try:
        event = _decode_fields(fields)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected("not_json", f"the data of the CloudEvent is not a JSON object: {error}", path) from None
    lacking = {
        "event_id": attributes.get("id"),
        "type": event_type(attributes.get("type", "")),
        "time": attributes.get("time"),
        "traceparent": attributes.get("traceparent"),
        "customer_id": None if "anonymous_id" in event else attributes.get("subject"),
    }
    for name, text in lacking.items():
        if text and name not in event:
            event[name] = msgspec.Raw(_encode(text))
    return _encode(event)


def event_type(attribute: str) -> str:
    """Our event type in a CloudEvents ``type``: the last segment, without a version at the end."""
    return _VERSION_SUFFIX.sub("", attribute).rpartition(".")[2]

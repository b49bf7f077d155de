"""What a record of ``customer.dead-letters.v1`` looks like: the original bytes, and headers that say why and where.

Built by the engine from a refusal; read by ``tidemark status``, by the inspection of dead letters and by whoever
re-drives them. Nothing here decides what is refused.
"""

import hashlib
from typing import Final, NamedTuple

from stream.contracts.emission import Headers, Origin, Rejected
from stream.contracts.headers import REDRIVEN, REDRIVEN_FROM, RecordHeaders, header, redrives

PREFIX: Final = "tidemark-dead-"
"""Headers that begin so are ours; all others are the original record's."""

CODE: Final = PREFIX + "code"
MESSAGE: Final = PREFIX + "message"
FIELD: Final = PREFIX + "field"
TOPIC: Final = PREFIX + "topic"
PARTITION: Final = PREFIX + "partition"
OFFSET: Final = PREFIX + "offset"
TIMESTAMP: Final = PREFIX + "timestamp"
ATTEMPT: Final = PREFIX + "attempt"
WORKER: Final = PREFIX + "worker"
LENGTH: Final = PREFIX + "original-length"
SHA256: Final = PREFIX + "original-sha256"

VALUE_LIMIT: Final = 900 * 1024
"""Bytes of key and value together that are kept: what the headers need on top stays below the broker's default of 1
MiB."""
KEY_LIMIT: Final = 16 * 1024
HEADERS_LIMIT: Final = 64 * 1024
MESSAGE_LIMIT: Final = 2 * 1024
FIELD_LIMIT: Final = 512


class DeadLetter(NamedTuple):
    """A record as it is written to the dead letters."""

    key: bytes | None
    value: bytes | None
    headers: Headers


class Verdict(NamedTuple):
    """What the headers of a dead letter say."""

    code: str
    message: str
    field: str
    """Path of the offending field, such as ``$.items[0].price``; empty where no field is to blame."""
    origin: Origin
    timestamp: int
    """The original record's timestamp, epoch milliseconds."""
    attempt: int
    """1 when it was refused for the first time; one more for every time that it was put back."""
    worker_version: str
    original_length: int | None
    """Bytes of the original value, where it was cut; None where the value is whole."""
    original_sha256: str
    """SHA-256 of the original value in hex, where it was cut; else empty."""
    headers: Headers
    """The original record's own headers."""


def dead_letter(
    rejected: Rejected,
    origin: Origin,
    *,
    key: bytes | None,
    value: bytes | None,
    headers: RecordHeaders,
    timestamp: int,
    worker_version: str,
) -> DeadLetter:
    """The dead letter of a refused record. It stays below 1,000,000 bytes whatever came in.

    Args:
        rejected: why.
        origin: where the record lies.
        key: as it came; cut at 16 KiB.
        value: as it came; cut so that key and value stay within 900 KiB, with length and SHA-256 of the whole.
        headers: as they came; kept from the first on while they fit 64 KiB. A null value becomes an empty one.
        timestamp: the record's timestamp, epoch milliseconds.
        worker_version: version of the worker that refused it.
    """
    kept_key = key if key is None else key[:KEY_LIMIT]
    kept_value = value if value is None else value[: VALUE_LIMIT - len(kept_key or b"")]
    ours = [
        (CODE, rejected.code.encode()),
        (MESSAGE, _text(rejected.message, MESSAGE_LIMIT)),
        (FIELD, _text(rejected.field, FIELD_LIMIT)),
        (TOPIC, origin.topic.encode()),
        (PARTITION, b"%d" % origin.partition),
        (OFFSET, b"%d" % origin.offset),
        (TIMESTAMP, b"%d" % timestamp),
        (ATTEMPT, b"%d" % (redrives(headers) + 1)),
        (WORKER, worker_version.encode()),
    ]
    if value is not None and kept_value != value:
        ours += [(LENGTH, b"%d" % len(value)), (SHA256, hashlib.sha256(value).hexdigest().encode())]
    return DeadLetter(kept_key, kept_value, (*_original(headers), *ours))


def read_verdict(headers: RecordHeaders) -> Verdict:
    """What the headers of a dead letter say.

    Raises:
        ValueError: a header of ours is missing or unreadable; the record is not a dead letter of Tidemark.
    """
    ours = {name: value or b"" for name, value in headers if name.startswith(PREFIX)}
    try:
        return Verdict(
            code=ours[CODE].decode(),
            message=ours[MESSAGE].decode(),
            field=ours[FIELD].decode(),
            origin=Origin(ours[TOPIC].decode(), int(ours[PARTITION]), int(ours[OFFSET])),
            timestamp=int(ours[TIMESTAMP]),
            attempt=int(ours[ATTEMPT]),
            worker_version=ours[WORKER].decode(),
            original_length=int(ours[LENGTH]) if LENGTH in ours else None,
            original_sha256=ours.get(SHA256, b"").decode(),
            headers=_original(headers),
        )
    except KeyError as missing:
        raise ValueError(f"not a dead letter of Tidemark: header {missing.args[0]} is missing") from None


def redriven_headers(verdict: Verdict) -> Headers:
    """Headers with which a dead letter is put back: the original record's own, how often it was put back by now, and
    where it lay when it was refused for the first time."""
    first = header(verdict.headers, REDRIVEN_FROM) or "{}:{}:{}".format(*verdict.origin).encode()
    own = (kept for kept in verdict.headers if kept[0] not in (REDRIVEN, REDRIVEN_FROM))
    return (*own, (REDRIVEN, b"%d" % verdict.attempt), (REDRIVEN_FROM, first))


def _original(headers: RecordHeaders) -> Headers:
    kept: list[tuple[str, bytes]] = []
    left = HEADERS_LIMIT
    for name, value in headers:
        if name.startswith(PREFIX):
            continue
        left -= len(name.encode()) + len(value or b"")
        if left < 0:
            break
        kept.append((name, value or b""))
    return tuple(kept)


def _text(text: str, limit: int) -> bytes:
    # Cutting bytes may split a character: what is left of it is dropped.
    return text.encode(errors="replace")[:limit].decode(errors="ignore").encode()

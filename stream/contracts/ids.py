"""Deterministic ids and hashes: the same input gives the same id in every process, on every machine, for ever.

What leaves the house and must not be guessable (alert ids, arms of an experiment) is keyed with a secret of the
deployment; the rest is plain. Changing a formula here changes ids that readers have already stored, so the tests hold
golden values.
"""

import hashlib
import hmac
import zlib
from functools import lru_cache
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

_REQUESTS: Final = uuid5(UUID(int=0), "io.tidemark.score-request")
_RECOMMENDATIONS: Final = uuid5(UUID(int=0), "io.tidemark.recommendation")
_ERASURES: Final = uuid5(UUID(int=0), "io.tidemark.customer-erased")
_ALERT_NAMESPACE: Final = b"io.tidemark.alert"
_ERASED_NAMESPACE: Final = b"io.tidemark.erased:"
_VARIANT: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""The digit of a UUID that tells its variant, by the digit of the hash in its place."""
_encode_parts: Final = msgspec.json.Encoder().encode
_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode
_FRACTION_BITS: Final = 53
"""A float holds 53 bits exactly; with more, rounding could reach 1.0."""


@lru_cache(maxsize=1 << 17)
def item_hash(item_id: str) -> int:
    """Unsigned 64-bit hash of an item's id (BLAKE2b, little-endian), by which profiles, catalogue and model know the
    item."""
    return int.from_bytes(hashlib.blake2b(item_id.encode(), digest_size=8).digest(), "little")


def event_id_hash(event_id: str) -> int:
    """Unsigned 32-bit hash of an event's id (CRC-32), by which a customer's recent events are remembered.

    Against 256 remembered ids, an unseen one is taken for a duplicate once in 17 million; ids that differ in four
    bytes in a row at most, as counted ones do, never. CRC-32 because this runs for every event.
    """
    return zlib.crc32(event_id.encode())


def profile_digest(profile: bytes) -> str:
    """Names the input of an answer, so that it is not taken for the answer to another one: BLAKE2b of the encoded
    profile, 16 hex digits."""
    return hashlib.blake2b(profile, digest_size=8).hexdigest()


def alert_id(secret: bytes, customer_id: str, kind: str, episode_start_ms: int) -> str:
    """Name of an alert's episode: UUIDv5 in a namespace derived from the deployment's secret."""
    return str(uuid5(_alert_namespace(secret), _joined(customer_id, kind, episode_start_ms)))


def message_id(alert_id: str, revision: int) -> str:
    """CloudEvents ``id`` of one transition of an alert: UUIDv5 of ``alert_id`` and revision."""
    return str(uuid5(UUID(alert_id), str(revision)))


def request_id(customer_id: str, trigger: str, as_of: int, attempt: int = 0) -> str:
    """Id of a score request. ``as_of`` in epoch milliseconds; ``attempt`` counts how often the question was put
    again."""
    name = _encode_parts((customer_id, trigger, as_of, attempt))
    digits = hashlib.sha1(_REQUESTS.bytes + name, usedforsecurity=False).hexdigest()
    # What str(uuid5(...)) gives, written out because it runs for every question: RFC 9562, section 5.5.
    variant = _VARIANT[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def recommendation_id(customer_id: str, revision: int) -> str:
    """Id of a customer's list of recommendations."""
    return str(uuid5(_RECOMMENDATIONS, _joined(customer_id, revision)))


def erased_id(customer_id: str, partition: int, offset: int) -> str:
    """CloudEvents ``id`` of the news that a customer was erased by the event at ``partition`` and ``offset``."""
    return str(uuid5(_ERASURES, _joined(customer_id, partition, offset)))


def erased_customer(secret: bytes, subject: bytes) -> str:
    """What is remembered of somebody who was erased: HMAC-SHA256 of the id, in hex."""
    return hmac.digest(secret, _ERASED_NAMESPACE + subject, "sha256").hex()


def content_id(content: Any) -> str:
    """Id of something that came without one: 128 bits of BLAKE2b over its JSON with sorted keys, as a UUID's text."""
    return str(UUID(bytes=hashlib.blake2b(_encode_sorted(content), digest_size=16).digest()))


def arm_fraction(secret: bytes, customer_id: str, experiment: str, salt_version: str) -> float:
    """Where in [0, 1) a customer falls in an experiment, uniformly: below the hold-out's share means hold-out.

    HMAC-SHA256, so that nobody without the secret can choose an id that lands in an arm. A new ``salt_version`` draws
    anew.
    """
    digest = hmac.digest(secret, _joined(experiment, salt_version, customer_id).encode(), "sha256")
    return (int.from_bytes(digest[:8], "big") >> (64 - _FRACTION_BITS)) / (1 << _FRACTION_BITS)


@lru_cache(maxsize=16)
def _alert_namespace(secret: bytes) -> UUID:
    return UUID(bytes=hmac.digest(secret, _ALERT_NAMESPACE, "sha256")[:16])


def _joined(*parts: str | int) -> str:
    # A JSON array keeps ("a|b", "c") and ("a", "b|c") apart, whatever ids contain, and any language can write one.
    return _encode_parts(parts).decode()

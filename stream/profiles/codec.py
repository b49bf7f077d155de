"""The bytes of a profile: one version byte, then the profile as a MessagePack array.

Used for the changelog, the local store and the snapshot inside a score request. A field added at the end of
``Profile`` needs no new version; whatever else changes the array does, and an upcaster from the version before.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from stream.profiles.profile import Profile

CODEC_VERSION: Final = 1
_VERSION_BYTE: Final = bytes([CODEC_VERSION])

Upcaster = Callable[[list[Any]], list[Any]]
"""Turns the array of one version into the array of the next."""

UPCASTERS: Final[Mapping[int, Upcaster]] = {}
"""By the version that each one reads."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Profile).decode
_decode_array: Final = msgspec.msgpack.Decoder(list[Any]).decode


class StateUnreadable(ValueError):
    """The bytes are no profile of any known version: that customer is quarantined."""


class NewerCodec(ValueError):
    """The profile was written by a newer version: this worker must stop, and be upgraded."""


def encode(profile: Profile) -> bytes:
    """Bytes of a profile, ``CODEC_VERSION`` first."""
    return _VERSION_BYTE + _encode(profile)


def decode(state: bytes) -> Profile:
    """The profile in ``state``.

    Raises:
        StateUnreadable: empty, truncated or of another shape.
        NewerCodec: written by a newer version of this codec.
    """
    if state[:1] == _VERSION_BYTE:
        try:
            return _decode(memoryview(state)[1:])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateUnreadable(f"profile of version {CODEC_VERSION} cannot be read: {error}") from error
    return upcast(state, CODEC_VERSION, UPCASTERS)


def upcast(state: bytes, version: int, upcasters: Mapping[int, Upcaster]) -> Profile:
    """The profile in bytes of another version, brought up to ``version`` step by step.

    Raises:
        StateUnreadable: no bytes, no way from their version to this one, or not that version's shape.
        NewerCodec: written by a version after ``version``.
    """
    if not state:
        raise StateUnreadable("profile of no bytes: a deleted state is null, not empty")
    written = state[0]
    if written > version:
        raise NewerCodec(f"profile of version {written}, this worker reads up to {version}: upgrade the worker")
    try:
        fields = _decode_array(memoryview(state)[1:])
        for step in range(written, version):
            fields = upcasters[step](fields)
        return msgspec.convert(fields, Profile)
    except KeyError as missing:
        raise StateUnreadable(f"profile of version {written}: no upcaster from version {missing}") from missing
    except (msgspec.DecodeError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise StateUnreadable(f"profile of version {written} cannot be read: {error}") from error

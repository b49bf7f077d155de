"""The bytes of a profile: one version byte, then the profile as a MessagePack array.

Used for the changelog, the local store and the snapshot inside a score request. A field added at the end of
``Profile`` needs no new version: newer builds read what older ones wrote, and older ones hand on what they do not know.
Whatever else changes the array needs one, and an upcaster from the version before.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from stream.profiles.added_fields import AddedFields, CarriesAddedFields, added_fields, decode_other, head, put_back
from stream.profiles.profile import Profile

CODEC_VERSION: Final = 1
_VERSION_BYTE: Final = bytes([CODEC_VERSION])

Upcaster = Callable[[list[Any]], list[Any]]
"""Turns the array of one version into the array of the next."""

UPCASTERS: Final[Mapping[int, Upcaster]] = {}
"""By the version that each one reads."""

_FIELDS: Final = len(Profile.__struct_fields__)
HEAD: Final = _VERSION_BYTE + head(_FIELDS)
"""All profiles begin so, but for those of builds that know fewer fields or more."""


class _NewerProfile(CarriesAddedFields, Profile, dict=True, gc=True):
    """A profile that a newer build has written: this build's fields, and beside them what it does not know."""


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Profile).decode
_decode_newer: Final = msgspec.msgpack.Decoder(_NewerProfile).decode
_decode_array: Final = msgspec.msgpack.Decoder(list[Any]).decode


class StateUnreadable(ValueError):
    """The bytes are no profile of any known version: that customer is quarantined."""


class NewerCodec(ValueError):
    """The profile was written by a newer version: this worker must stop, and be upgraded."""


def encode(profile: Profile) -> bytes:
    """Bytes of a profile, ``CODEC_VERSION`` first. What a newer build has added to it stands in them as it came."""
    # In this order, since isinstance of a struct takes longer.
    if type(profile) is Profile or not isinstance(profile, _NewerProfile):
        return _VERSION_BYTE + _encode(profile)
    return _VERSION_BYTE + put_back(_encode(profile), _FIELDS, profile.added)


def decode(state: bytes) -> Profile:
    """The profile in ``state``.

    Raises:
        StateUnreadable: empty, truncated or of another shape.
        NewerCodec: written by a newer version of this codec.
    """
    try:
        if state.startswith(HEAD):
            return _decode(memoryview(state)[1:])
        if state.startswith(_VERSION_BYTE):
            return decode_other(memoryview(state)[1:], _FIELDS, _decode, _decode_newer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateUnreadable(f"profile of version {CODEC_VERSION} cannot be read: {error}") from error
    return upcast(state, CODEC_VERSION, UPCASTERS)


def added_behind(state: bytes, fields: int) -> AddedFields | None:
    """What the bytes of a profile of this version have behind so many fields; None: nothing."""
    return added_fields(memoryview(state)[1:], fields)


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

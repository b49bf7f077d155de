"""The bytes of a ``DecisionState``: one version byte, then the state as a MessagePack array.

Used for the changelog and the local store, as ``stream.profiles.codec`` is for profiles, whose errors it shares. A
field added at the end of the state needs no new version, and is handed on by builds that do not know it; whatever else
changes the array does.
"""

from typing import Final

import msgspec

from stream.decisions.state import DecisionState
from stream.profiles.added_fields import CarriesAddedFields, decode_other, head, put_back
from stream.profiles.codec import NewerCodec, StateUnreadable

CODEC_VERSION: Final = 1
_VERSION_BYTE: Final = bytes([CODEC_VERSION])

_FIELDS: Final = len(DecisionState.__struct_fields__)
_HEAD: Final = _VERSION_BYTE + head(_FIELDS)


class _NewerState(CarriesAddedFields, DecisionState, dict=True):
    """A state that a newer build has written: this build's fields, and beside them what it does not know."""


_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode
_decode: Final = msgspec.msgpack.Decoder(DecisionState).decode
_decode_newer: Final = msgspec.msgpack.Decoder(_NewerState).decode


def encode(state: DecisionState) -> bytes:
    """Bytes of a state, ``CODEC_VERSION`` first; the same for the same state, whatever happened on the way to it.

    What a newer build has added to it stands in them as it came.
    """
    array = _encode(state)
    return _VERSION_BYTE + (put_back(array, _FIELDS, state.added) if isinstance(state, _NewerState) else array)


def decode(state: bytes) -> DecisionState:
    """The state in its bytes.

    Raises:
        StateUnreadable: empty, truncated, of another shape, or of a version that no worker ever wrote.
        NewerCodec: written by a newer version of this codec.
    """
    if not state:
        raise StateUnreadable("decisions of no bytes: a deleted state is null, not empty")
    if state[0] > CODEC_VERSION:
        raise NewerCodec(
            f"decisions of version {state[0]}, this worker reads up to {CODEC_VERSION}: upgrade the worker"
        )
    if state[0] < CODEC_VERSION:
        raise StateUnreadable(f"decisions of version {state[0]}: no worker ever wrote it")
    array = memoryview(state)[1:]
    try:
        return _decode(array) if state.startswith(_HEAD) else decode_other(array, _FIELDS, _decode, _decode_newer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateUnreadable(f"decisions of version {CODEC_VERSION} cannot be read: {error}") from error

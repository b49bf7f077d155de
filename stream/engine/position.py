"""What the changelog holds beside the states: how far a partition is, and how a state's value is framed.

The position record is the last one of every transaction and has the empty key, which no input record can have. It
lets a restore prove that the state and the committed offset belong together.
"""

import struct
from typing import Final

import msgspec

POSITION_KEY: Final = b""
_HEADER: Final = struct.Struct(">q")
HEADER_BYTES: Final = _HEADER.size
_WAITING: Final = 1 << 62
"""Set in a value's header when its key waits for a signal. Epoch milliseconds stay far below it."""


class Position(msgspec.Struct, array_like=True, frozen=True):
    """How far one partition is, as of one commit.

    Attributes:
        offset: of the next input record.
        time: partition time, epoch milliseconds.
        fold_version: of the processor that wrote the state.
        shared: the encoded state that all keys of the partition share.
        behind: milliseconds by which the newest record that was not refused was appended after its event time, which
            tells a live log from history; None before there was one.
    """

    offset: int
    time: int
    fold_version: int
    shared: bytes = b""
    behind: int | None = None


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Position)


def encode_position(position: Position) -> bytes:
    return _encoder.encode(position)


def decode_position(encoded: bytes) -> Position:
    """Raises ``msgspec.DecodeError`` for bytes that are no position."""
    return _decoder.decode(encoded)


def frame(due: int, waiting: bool, state: bytes) -> bytes:
    """A changelog value: due time and waiting flag in eight bytes, then the state, so that a restore decodes
    nothing."""
    return _HEADER.pack(due | _WAITING if waiting else due) + state


def due_of(framed: bytes) -> int:
    """Due time of a changelog value, epoch milliseconds; 0 for none."""
    return int(_HEADER.unpack_from(framed)[0]) & ~_WAITING


def is_waiting(framed: bytes) -> bool:
    return bool(_HEADER.unpack_from(framed)[0] & _WAITING)

"""Fields that a newer build has added behind the last one that this build knows, kept as they came.

While a new build is rolled out, or taken back, both fold the same customers: what the newer one has noted must survive
the older one. This knows arrays of MessagePack and no state. Called by the codecs of profiles and of decisions.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import msgspec

_decode: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_FIX: Final = 16
"""Shorter arrays have a head of one byte."""


T = TypeVar("T")


class AddedFields(NamedTuple):
    """What lies behind the fields of this build.

    Attributes:
        fields: of the whole array.
        encoded: the added ones in MessagePack, one behind the other.
    """

    fields: int
    encoded: bytes


class CarriesAddedFields:
    """Makes a struct with ``dict=True`` carry what is not among its fields, and so is not encoded with them."""

    __slots__ = ()

    @property
    def added(self) -> AddedFields:
        added: AddedFields = self.__dict__["added"]
        return added

    @added.setter
    def added(self, added: AddedFields) -> None:
        self.__dict__["added"] = added


def head(fields: int) -> bytes:
    """The bytes before the first element of an array, as msgspec writes them."""
    return bytes([0x90 | fields]) if fields < _FIX else b"\xdc" + fields.to_bytes(2)


def added_fields(array: bytes | memoryview, known: int) -> AddedFields | None:
    """What ``array`` has behind its first ``known`` elements; None: nothing.

    Raises:
        msgspec.DecodeError: it is no array of MessagePack; where its head says ``known``, that is not looked at.
    """
    own = head(known)
    if array[: len(own)] == own:
        return None
    elements = _decode(array)
    return AddedFields(len(elements), b"".join(elements[known:])) if len(elements) > known else None


def put_back(array: bytes, known: int, added: AddedFields) -> bytes:
    """An array of ``known`` elements with ``added`` behind them."""
    return head(added.fields) + array[len(head(known)) :] + added.encoded


def decode_other(array: memoryview, known: int, own: Callable[[memoryview], T], newer: Callable[[memoryview], T]) -> T:
    """A struct of a build that knows fewer fields or more.

    Args:
        known: fields of this build.
        own, newer: decode to this build's struct, and to one derived from it and from ``CarriesAddedFields``.

    Raises:
        msgspec.DecodeError: it is neither.
    """
    added = added_fields(array, known)
    if added is None:
        return own(array)
    state = newer(array)
    assert isinstance(state, CarriesAddedFields)  # noqa: S101 - for the type checker
    state.added = added
    return state

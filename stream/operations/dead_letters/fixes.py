"""What is changed of a dead letter before it is put back: nothing, a patch, expressions, its key.

Pure: a letter in, the record as it is to be out. Whether that record would be accepted is `judging.py`'s to say. Fixes
that stand in a file are `exported.py`'s.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from stream.contracts.cloudevents import unwrap
from stream.contracts.emission import Headers, Rejected
from stream.operations.dead_letters.expressions import ExpressionFailed, applied, read_expression
from stream.operations.dead_letters.json_patch import InvalidPatch, PatchFailed, check_patch, merged, patched
from stream.operations.dead_letters.letters import Letter
from stream.operations.envelopes import read_envelope


class FixFailed(ValueError):
    """The fix does not fit this letter; others it may fit."""


class Payload(NamedTuple):
    """A record as it is to be put back, but for what says that it was."""

    key: bytes | None
    value: bytes | None
    headers: Headers


class Fix(Protocol):
    """Something that makes a dead letter whole."""

    @property
    def described(self) -> str:
        """How, for the record; empty where nothing is changed."""

    def apply(self, letter: Letter) -> Payload:
        """The record as it is to be put back.

        Raises:
            FixFailed: it does not fit.
        """


def original(letter: Letter) -> Payload:
    """The record as it was refused."""
    return Payload(letter.key, letter.value, () if letter.verdict is None else letter.verdict.headers)


class Change:
    """The same change for every letter.

    Args:
        patch: JSON: an object is a merge patch (RFC 7396), an array a JSON Patch (RFC 6902); empty for none.
        expressions: such as ``time=@*1000``, applied one after the other behind the patch.
        rekey: make the customer of the event, else the anonymous visitor, its key.

    Raises:
        InvalidPatch, InvalidExpression: with what is expected.
    """

    def __init__(self, patch: str = "", expressions: Sequence[str] = (), rekey: bool = False) -> None:
        self._patch = _read_patch(patch) if patch else None
        self._expressions = [read_expression(text) for text in expressions]
        self._rekey = rekey
        self.described = "; ".join([*filter(None, [patch]), *expressions, *(["rekey"] if rekey else [])])

    def apply(self, letter: Letter) -> Payload:
        key, value, headers = original(letter)
        if self._patch is not None or self._expressions:
            value = self._changed(value)
        if self._rekey:
            key = subject(value, headers)
        return Payload(key, value, headers)

    def _changed(self, value: bytes | None) -> bytes:
        try:
            # Python's own reader: it takes NaN, which a patch may be there to replace.
            content = json.loads(value or b"")
            if isinstance(self._patch, list):
                content = patched(content, self._patch)
            elif self._patch is not None:
                content = merged(content, self._patch)
            for expression in self._expressions:
                content = applied(content, expression)
        except (PatchFailed, ExpressionFailed) as error:
            raise FixFailed(str(error)) from error
        except (ValueError, RecursionError) as error:
            raise FixFailed(f"not JSON ({error}): mend it with `tidemark dead-letters edit`") from error
        try:
            return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except (ValueError, RecursionError) as error:
            raise FixFailed(f"what comes out is not JSON: {error}") from error


class Typed:
    """What somebody typed for one letter."""

    described = "edited"

    def __init__(self, payload: Payload) -> None:
        self._payload = payload

    def apply(self, letter: Letter) -> Payload:
        return self._payload


def subject(value: bytes | None, headers: Headers) -> bytes:
    """The key that an event must have.

    Raises:
        FixFailed: it names nobody.
    """
    try:
        key = read_envelope(unwrap(value or b"", headers)).key
    except Rejected as error:
        raise FixFailed(error.message) from error
    if key is None:
        raise FixFailed("it names neither a customer_id nor an anonymous_id that could be its key")
    return key


def _read_patch(text: str) -> Any:
    try:
        patch = json.loads(text)
    except ValueError as error:
        raise InvalidPatch(f"the patch is not JSON: {error}") from error
    if isinstance(patch, list):
        check_patch(patch)
    elif not isinstance(patch, dict):
        raise InvalidPatch("a patch is an object (RFC 7396) or an array of operations (RFC 6902)")
    return patch

"""Changes a JSON value as RFC 7396 (JSON Merge Patch) and RFC 6902 (JSON Patch) say.

Pure: the value that comes in is left as it is. What a dead letter's payload is, and what becomes of it, is not its
business. Called by `fixes.py`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any, Final

OPERATIONS: Final[dict[str, frozenset[str]]] = {
    "add": frozenset({"path", "value"}),
    "remove": frozenset({"path"}),
    "replace": frozenset({"path", "value"}),
    "move": frozenset({"path", "from"}),
    "copy": frozenset({"path", "from"}),
    "test": frozenset({"path", "value"}),
}
"""The members that each operation of RFC 6902 needs beside ``op``."""

_INDEX: Final = re.compile(r"0|[1-9][0-9]*")


class InvalidPatch(ValueError):
    """It is no patch, whatever it is applied to."""


class PatchFailed(ValueError):
    """The patch does not fit the value."""


def merged(value: Any, patch: Any) -> Any:
    """RFC 7396, section 2: members of ``patch`` replace those of ``value``, null takes one away."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), change)
    return result


def check_patch(operations: Sequence[Any]) -> None:
    """See that every operation is one of RFC 6902, with the members that it needs.

    Raises:
        InvalidPatch: one is not; the message says which and why.
    """
    for number, operation in enumerate(operations):
        name = operation.get("op") if isinstance(operation, dict) else None
        if name not in OPERATIONS:
            raise InvalidPatch(f"operation {number}: op must be one of {', '.join(OPERATIONS)}")
        if missing := sorted(OPERATIONS[name] - operation.keys()):
            raise InvalidPatch(f"operation {number}: {name} needs {missing[0]}")
        for pointer in ("path", "from"):
            if pointer in OPERATIONS[name]:
                _tokens(operation[pointer])


def patched(value: Any, operations: Sequence[Any]) -> Any:
    """RFC 6902: the operations one after the other, all or none.

    Args:
        operations: that ``check_patch`` let pass.

    Raises:
        PatchFailed: a ``test`` fails, or a path leads nowhere.
    """
    result = copy.deepcopy(value)
    for operation in operations:
        tokens = _tokens(operation["path"])
        match operation["op"]:
            case "add":
                result = _added(result, tokens, copy.deepcopy(operation["value"]))
            case "remove":
                result = _removed(result, tokens)
            case "replace":
                _found(result, tokens)
                result = _replaced(result, tokens, copy.deepcopy(operation["value"]))
            case "test":
                if not _equal(_found(result, tokens), operation["value"]):
                    raise PatchFailed(f"the test of {operation['path']} fails")
            case "copy":
                result = _added(result, tokens, copy.deepcopy(_found(result, _tokens(operation["from"]))))
            case "move":
                source = _tokens(operation["from"])
                if source == tokens[: len(source)] and source != tokens:
                    raise PatchFailed(f"{operation['from']} cannot be moved into itself")
                moved = _found(result, source)
                result = _added(_removed(result, source), tokens, moved)
    return result


def _tokens(pointer: Any) -> list[str]:
    """The steps of a JSON Pointer (RFC 6901)."""
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise InvalidPatch(f"{pointer!r} is no JSON Pointer: it is empty or begins with /, such as /items/0/price")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _found(value: Any, tokens: Sequence[str]) -> Any:
    for depth, token in enumerate(tokens):
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            raise _nothing_at(tokens[: depth + 1])
    return value


def _added(value: Any, tokens: Sequence[str], new: Any) -> Any:
    if not tokens:
        return new
    parent, last = _found(value, tokens[:-1]), tokens[-1]
    if isinstance(parent, dict):
        parent[last] = new
    elif isinstance(parent, list) and last == "-":
        parent.append(new)
    elif isinstance(parent, list) and _INDEX.fullmatch(last) and int(last) <= len(parent):
        parent.insert(int(last), new)
    else:
        raise _nothing_at(tokens)
    return value


def _removed(value: Any, tokens: Sequence[str]) -> Any:
    _found(value, tokens)
    if not tokens:
        return None
    parent, last = _found(value, tokens[:-1]), tokens[-1]
    del parent[int(last) if isinstance(parent, list) else last]
    return value


def _replaced(value: Any, tokens: Sequence[str], new: Any) -> Any:
    if not tokens:
        return new
    parent, last = _found(value, tokens[:-1]), tokens[-1]
    parent[int(last) if isinstance(parent, list) else last] = new
    return value


def _equal(one: Any, other: Any) -> bool:
    """Equality of JSON values: in Python ``True == 1``, in JSON it is not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def _nothing_at(tokens: Sequence[str]) -> PatchFailed:
    return PatchFailed("there is nothing at /" + "/".join(tokens))

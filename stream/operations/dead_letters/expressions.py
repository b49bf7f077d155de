"""Small expressions that change a field of a JSON value: ``time=@*1000``, ``items[*].price=number(@)``.

Left of ``=`` is a path, right of it a JSON value, plain text, or a computation on ``@`` (what the field holds) or on
another field (``$.session_id``). Pure; called by `fixes.py`.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

_STEP: Final = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(\d+|\*)\]")
_REFERENCE: Final = r"@|\$\.[\w.\[\]*-]+?"
_COMPUTED: Final = re.compile(
    rf"(?:(?P<function>[a-z]+)\((?P<inner>{_REFERENCE})\)|(?P<plain>{_REFERENCE}))"
    r"(?:\s*(?P<operator>[-+*/])\s*(?P<number>-?\d+(?:\.\d+)?))?"
)


class InvalidExpression(ValueError):
    """It is no expression, whatever it is applied to."""


class ExpressionFailed(ValueError):
    """The expression does not fit the value."""


class _Absent:
    """What a field holds that is not there."""


_ABSENT: Final = _Absent()


class Expression(NamedTuple):
    """``PATH=VALUE``, read."""

    path: tuple[str | int, ...]
    """Names of members, indexes of elements; ``*`` is every element."""
    compute: Callable[[Any, Any], Any]
    """The new value, of the whole and of what the field holds."""


def read_expression(text: str) -> Expression:
    """The expression in ``text``.

    Raises:
        InvalidExpression: with what was expected.
    """
    target, equals, source = text.partition("=")
    if not equals:
        raise InvalidExpression(f"{text!r} is not PATH=VALUE, such as currency=GBP or time=@*1000")
    return Expression(_path(target.strip()), _computation(source.strip()))


def applied(value: Any, expression: Expression) -> Any:
    """``value``, changed in place.

    Raises:
        ExpressionFailed: the path leads nowhere, or the computation does not fit what lies there.
    """
    *way, last = expression.path
    for parent in list(_reached(value, way, expression.path)):
        for step in _steps(parent, last, expression.path):
            present = _member(parent, step)
            parent[step] = expression.compute(value, present)
    return value


def _path(text: str) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    rest = text.removeprefix("$.")
    while rest and (step := _STEP.match(rest)):
        name, index = step.groups()
        steps.append(name or (index if index == "*" else int(index)))
        rest = rest[step.end() :]
    if rest or not steps:
        raise InvalidExpression(f"{text!r} is no path, such as time, items[0].price or items[*].price")
    return tuple(steps)


def _computation(text: str) -> Callable[[Any, Any], Any]:
    found = _COMPUTED.fullmatch(text)
    if found is None:
        if text.startswith("$."):
            raise InvalidExpression(f"{text!r} is no computation: $.name, or such as $.name*1000 or lower($.name)")
        return _literal(text)
    function, calculation = _function(found["function"]), _calculation(found["operator"], found["number"])
    reference = found["inner"] or found["plain"]
    path = None if reference == "@" else _path(reference)
    if path is not None and "*" in path:
        raise InvalidExpression(f"{reference!r} is more than one value: name one element, or @ for the field's own")

    def compute(whole: Any, present: Any) -> Any:
        value = present if path is None else next(_reached(whole, path, path))
        if isinstance(value, _Absent):
            raise ExpressionFailed("there is no value to compute with")
        return calculation(function(value))

    return compute


def _literal(text: str) -> Callable[[Any, Any], Any]:
    """JSON, else the text itself, so that ``currency=GBP`` needs no quotes for the shell to eat."""
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    return lambda whole, present: value


def _calculation(name: str | None, number: str | None) -> Callable[[Any], Any]:
    if name is None or number is None:
        return lambda value: value
    operand: float = float(number) if "." in number else int(number)
    if name == "/" and not operand:
        raise InvalidExpression("nothing can be divided by 0")
    calculate = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[name]

    def calculated(value: Any) -> Any:
        try:
            result = calculate(_as_number(value), operand)
        except OverflowError as error:
            raise ExpressionFailed(str(error)) from None
        # Epoch milliseconds out of microseconds are to stay whole.
        return int(result) if name == "/" and result.is_integer() else result

    return calculated


def _function(name: str | None) -> Callable[[Any], Any]:
    functions: dict[str, Callable[[Any], Any]] = {
        "number": _number,
        "text": lambda value: value if isinstance(value, str) else json.dumps(value),
        "lower": lambda value: _as_text(value).lower(),
        "upper": lambda value: _as_text(value).upper(),
        "trim": lambda value: _as_text(value).strip(),
        "abs": lambda value: abs(_as_number(value)),
    }
    if name is None:
        return lambda value: value
    if name not in functions:
        raise InvalidExpression(f"there is no function {name}: it is one of {', '.join(functions)}")
    return functions[name]


def _number(value: Any) -> Any:
    """A number that was sent as text."""
    if not isinstance(value, str):
        return _as_number(value)
    text = value.strip()
    try:
        return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
    except ValueError:
        raise ExpressionFailed(f"{value!r} is no number") from None


def _as_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ExpressionFailed(f"{json.dumps(value)} is no number: number(@) reads one from text")
    return value


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ExpressionFailed(f"{json.dumps(value)} is no text")
    return value


def _reached(value: Any, path: Sequence[str | int], whole: Sequence[str | int]) -> Iterator[Any]:
    if not path:
        yield value
        return
    for step in _steps(value, path[0], whole):
        inner = _member(value, step)
        if isinstance(inner, _Absent):
            raise _nowhere(whole)
        yield from _reached(inner, path[1:], whole)


def _steps(parent: Any, step: str | int, whole: Sequence[str | int]) -> Sequence[Any]:
    """The members of ``parent`` that a step means; every one of them can be set."""
    if step == "*" and isinstance(parent, list):
        return range(len(parent))
    if isinstance(step, int) and isinstance(parent, list) and step < len(parent):
        return (step,)
    if isinstance(step, str) and step != "*" and isinstance(parent, dict):
        return (step,)
    raise _nowhere(whole)


def _member(parent: Any, step: Any) -> Any:
    return parent.get(step, _ABSENT) if isinstance(parent, dict) else parent[step]


def _nowhere(path: Sequence[str | int]) -> ExpressionFailed:
    shown = "".join(f".{step}" if isinstance(step, str) and step != "*" else f"[{step}]" for step in path)
    return ExpressionFailed(f"${shown} leads nowhere")

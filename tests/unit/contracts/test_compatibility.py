"""Additive changes of a schema pass, every other kind of change is caught and named by its path."""

from typing import Annotated, Any, Literal

import msgspec
import pytest

from stream.contracts.compatibility import Schema, breaking_changes

LEFT_OUT: tuple[Any, ...] = ()

LINE = {"sku": (str,), "price": (float, 0.0)}


def line(**changed: tuple[Any, ...]) -> type[msgspec.Struct]:
    return struct("Line", LINE | changed)


def struct(name: str, fields: dict[str, tuple[Any, ...]]) -> type[msgspec.Struct]:
    kept = [(field, *rest) for field, rest in fields.items() if rest]
    return msgspec.defstruct(name, kept, kw_only=True, module=__name__)


def order(lines: type[msgspec.Struct] | None = None, **changed: tuple[Any, ...]) -> Schema:
    """Schema of the released message, or of one with fields replaced, added or left out."""
    inner = lines or line()
    fields: dict[str, tuple[Any, ...]] = {
        "order_id": (str,),
        "state": (Literal["open", "paid"],),
        "lines": (list[inner], []),  # type: ignore[valid-type]
        "parent": (inner | None, None),
        "rates": (dict[str, float], {}),
        "channel": (Literal["web", "app"] | None, None),
        "note": (str, ""),
    }
    return msgspec.json.schema(struct("Order", fields | changed))


@pytest.mark.parametrize(
    "current",
    [
        order(),
        order(added=(str, "")),
        order(added=(struct("Extra", LINE) | None, None)),
        order(line(added=(int, 0))),
        order(state=(Literal["open", "paid", "sent"],)),
        order(channel=(Literal["web", "app", "store"] | None, None)),
    ],
    ids=["nothing", "optional field", "optional struct", "optional field within", "wider enum", "wider optional enum"],
)
def test_additive_changes_pass(current: Schema) -> None:
    assert breaking_changes(order(), current) == []


@pytest.mark.parametrize(
    ("current", "found"),
    [
        (order(note=LEFT_OUT), ["$.note: removed"]),
        (order(note=LEFT_OUT, remark=(str, "")), ["$.note: removed"]),
        (order(order_id=LEFT_OUT, id=(str,)), ["$.order_id: removed", "$.id: newly required"]),
        (order(added=(str,)), ["$.added: newly required"]),
        (order(note=(str,)), ["$.note: default was '' and is None", "$.note: newly required"]),
        (order(order_id=(str, "")), ["$.order_id: default was None and is ''", "$.order_id: no longer promised"]),
        (order(order_id=(int,)), ["$.order_id: type was 'string' and is 'integer'"]),
        (order(note=(str | None, "")), ["$.note: type was 'string' and is None", "$.note: had 0 forms and has 2"]),
        (order(note=(str, "-")), ["$.note: default was '' and is '-'"]),
        (order(state=(Literal["open"],)), ["$.state: 'paid' no longer among its values"]),
        (order(state=(Literal["open", "done"],)), ["$.state: 'paid' no longer among its values"]),
        (order(channel=(Literal["web"] | None, None)), ["$.channel: 'app' no longer among its values"]),
        (order(channel=(Literal["web", "app"], "web")), None),
        (order(note=(Literal["", "x"], "")), None),
        (order(state=(str,)), None),
        (order(line(price=LEFT_OUT)), ["$.lines[].price: removed", "$.parent.price: removed"]),
        (order(line(unit=(str,))), ["$.lines[].unit: newly required", "$.parent.unit: newly required"]),
        (order(lines=None, rates=(dict[str, int], {})), ["$.rates.*: type was 'number' and is 'integer'"]),
        (order(rates=(dict[str, Any], {})), None),
        (order(note=(Annotated[str, msgspec.Meta(max_length=5)], "")), ["$.note: maxLength was None and is 5"]),
    ],
)
def test_every_other_change_is_caught(current: Schema, found: list[str] | None) -> None:
    changes = breaking_changes(order(), current)
    assert changes == found if found is not None else changes


def test_prose_is_free() -> None:
    reworded = order()
    reworded["$defs"]["Order"] |= {"title": "Another", "description": "Reworded.", "examples": [{}]}
    assert breaking_changes(order(), reworded) == []

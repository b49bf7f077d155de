"""Which changes of a published schema are allowed: additive ones, and no others.

Readers and writers of the old schema must go on working beside those of the new one, in both directions. Used by the
test that holds the contracts to their last released form, and by whoever generates the documents.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_PROSE: Final = frozenset({"$schema", "$id", "$defs", "title", "description", "examples"})
_OWN_RULE: Final = frozenset({"properties", "required", "enum", "anyOf", "items", "additionalProperties"})


def breaking_changes(released: Schema, current: Schema) -> list[str]:
    """What of ``current`` would break those who hold on to ``released``, each as a line that begins with the path.

    Allowed are a new optional field, a new value of an enumeration, and any change of prose. Everything else counts as
    breaking: a field removed, renamed, retyped, newly required or no longer promised, an enumeration narrowed, a
    default or a bound changed (a field that is left out means its default).

    Args:
        released: a JSON Schema as ``stream.contracts.json_schema`` makes them.
        current: the same message's schema now.
    """
    return list(_differences(released, current, released.get("$defs", {}), current.get("$defs", {}), "$"))


def _differences(old: Schema, new: Schema, old_defs: Schema, new_defs: Schema, path: str) -> Iterator[str]:
    old, new = _resolved(old, old_defs), _resolved(new, new_defs)
    for keyword in sorted((old.keys() | new.keys()) - _PROSE - _OWN_RULE):
        if old.get(keyword) != new.get(keyword):
            yield f"{path}: {keyword} was {old.get(keyword)!r} and is {new.get(keyword)!r}"

    lost = [value for value in old.get("enum", ()) if value not in new.get("enum", ())]
    if lost:
        yield f"{path}: {', '.join(map(repr, lost))} no longer among its values"
    if "enum" in new and "enum" not in old:
        yield f"{path}: was any value and is an enumeration"

    old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
    old_required, new_required = set(old.get("required", ())), set(new.get("required", ()))
    for name in old_fields:
        if name not in new_fields:
            yield f"{path}.{name}: removed"
        else:
            yield from _differences(old_fields[name], new_fields[name], old_defs, new_defs, f"{path}.{name}")
    for name in sorted(new_required - old_required):
        yield f"{path}.{name}: newly required"
    for name in sorted((old_required - new_required) & new_fields.keys()):
        yield f"{path}.{name}: no longer promised"

    for keyword, step in (("items", "[]"), ("additionalProperties", ".*")):
        inner_old, inner_new = old.get(keyword), new.get(keyword)
        if isinstance(inner_old, Mapping) and isinstance(inner_new, Mapping):
            yield from _differences(inner_old, inner_new, old_defs, new_defs, path + step)
        elif inner_old != inner_new:
            yield f"{path}{step}: was {inner_old!r} and is {inner_new!r}"

    old_forms, new_forms = old.get("anyOf", ()), new.get("anyOf", ())
    if len(old_forms) != len(new_forms):
        yield f"{path}: had {len(old_forms)} forms and has {len(new_forms)}"
    for old_form, new_form in zip(old_forms, new_forms, strict=False):
        yield from _differences(old_form, new_form, old_defs, new_defs, path)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    # What stands beside a reference, such as a default, counts as well.
    beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
    return {**definitions[reference.rpartition("/")[2]], **beside}

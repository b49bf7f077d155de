"""JSON Schemas of the messages, made from the structs and from the docstrings of their fields.

The docstring under a field says what it is and in which unit; it exists in the source alone, so it is read from
there. Used when the documents under ``docs/`` are generated and checked, never at run time.
"""

import ast
import inspect
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from stream.contracts.codec import Message

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def message_schema(message: Message) -> Schema:
    """The schema of one message, complete in itself."""
    definitions = definitions_of([message.type], "#/$defs/{name}")
    own = definitions.pop(message.type.__name__)
    header: Schema = {"$schema": DIALECT, "$id": message.schema_uri}
    return header | own | ({"$defs": definitions} if definitions else {})


def definitions_of(types: Sequence[type[msgspec.Struct]], reference: str) -> dict[str, Schema]:
    """Schemas of ``types`` and of every struct inside them, by name, with a description of each struct and each field.

    Args:
        types: where to begin.
        reference: form of a ``$ref``, such as ``#/$defs/{name}``.
    """
    _, definitions = msgspec.json.schema_components(types, ref_template=reference)
    structs = _structs_within(types)
    for name, schema in definitions.items():
        schema["description"] = _as_markdown(inspect.getdoc(structs[name]) or "")
        documented = field_docstrings(structs[name])
        for field, field_schema in schema["properties"].items():
            if field in documented:
                field_schema["description"] = documented[field]
    return dict(definitions)


def field_docstrings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The docstring under each field of ``struct`` that has one, by the field's name."""
    (definition,) = ast.parse(inspect.getsource(struct)).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - what the source of a class parses to
    documented = {}
    for field, after in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            documented[field.target.id] = _as_markdown(inspect.cleandoc(after.value.value))
    return documented


def _structs_within(types: Sequence[type[msgspec.Struct]]) -> dict[str, type[msgspec.Struct]]:
    found: dict[str, type[msgspec.Struct]] = {}
    ahead: list[object] = list(msgspec.inspect.multi_type_info(types))
    while ahead:
        node = ahead.pop()
        if isinstance(node, msgspec.inspect.StructType):
            found[node.cls.__name__] = node.cls
            ahead += [field.type for field in node.fields]
        elif isinstance(node, tuple):
            ahead += node
        elif isinstance(node, msgspec.inspect.Type):
            ahead += [getattr(node, attribute) for attribute in node.__struct_fields__]
    return found


def _as_markdown(docstring: str) -> str:
    """One line for each paragraph, and code marked as Markdown marks it."""
    paragraphs = docstring.replace("``", "`").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)

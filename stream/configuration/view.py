"""The configuration as people read it: every key, its value and where it came from, with secrets masked.

Called by `tidemark config`, and by whatever prints settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from stream.configuration.marks import is_properties, is_secret, is_secret_property
from stream.configuration.resolve import DEFAULT

MASK: Final = "********"


class Shown(msgspec.Struct, frozen=True):
    """One setting in force."""

    key: str
    value: Any
    origin: str
    """``default``, the file, the environment variable, or the file that held the secret."""


def masked(settings: msgspec.Struct, origins: Mapping[str, str], path: tuple[str, ...] = ()) -> Iterator[Shown]:
    """Every setting below ``path`` in the order of the structs."""
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        here = (*path, field.name)
        key = ".".join(here)
        if isinstance(value, msgspec.Struct) and key not in origins:
            yield from masked(value, origins, here)
        elif is_properties(field.type):
            for name, text in value.items():
                shown = MASK if is_secret_property(name) else text
                yield Shown(f"{key}.{name}", shown, origins.get(f"{key}.{name}", DEFAULT))
        else:
            shown = MASK if is_secret(field.type) else msgspec.to_builtins(value)
            yield Shown(key, shown, origins.get(key, DEFAULT))

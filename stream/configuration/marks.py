"""Field types that tell the loader and the printed view how to treat a value: secrets, and properties passed to
librdkafka.

Settings use them; `resolve.py` and `view.py` ask for them by `is_secret` and `is_properties`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec

Secret = Annotated[str, msgspec.Meta(extra={"secret": True})]
"""Comes from the environment or from a file named by ``<field>_file``, never from ``tidemark.toml``; printed masked."""

PropertyValue = str | int | float | bool
Properties = Annotated[dict[str, PropertyValue], msgspec.Meta(extra={"properties": True})]
"""Properties of librdkafka by its own names (``security.protocol``); any of them passes through."""

_SECRET_PROPERTY: Final = re.compile(
    r"password|passphrase|secret|ssl[._]key[._]pem|private\.key|jaas|oauthbearer\.config"
)


def is_secret(annotation: Any) -> bool:
    """Whether a field of this type holds a secret."""
    return _extra(annotation).get("secret", False) is True


def is_properties(annotation: Any) -> bool:
    """Whether a field of this type holds properties of librdkafka."""
    return _extra(annotation).get("properties", False) is True


def is_secret_property(name: str) -> bool:
    """Whether the property of librdkafka with this name holds a secret; paths of files that hold one do not."""
    return _SECRET_PROPERTY.search(name) is not None and not name.endswith(".location")


def _extra(annotation: Any) -> dict[str, Any]:
    found = msgspec.inspect.type_info(annotation)
    return (found.extra or {}) if isinstance(found, msgspec.inspect.Metadata) else {}

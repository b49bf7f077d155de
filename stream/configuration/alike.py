"""Refuses environment variables that are meant to be settings and are none: single underscores, or another case.

Without it they would set nothing, and nobody would be told. What stands under the right prefix is `resolve.py`'s
business. Called by `load.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from stream.configuration.marks import is_properties, is_secret
from stream.configuration.resolve import FILE_SUFFIX, SEPARATOR, ConfigurationError, known_keys

_OF_KUBERNETES: Final = re.compile(r".*_(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
"""What Kubernetes sets for every service of the namespace, one of which may be called tidemark-kafka-client."""
_ADDRESS_OF_KUBERNETES: Final = re.compile(r"(tcp|udp|sctp)://.*")
"""Of the same, the value of ``<SERVICE>_PORT``; a service may be called tidemark-metrics."""


def refuse_alike(settings: type[msgspec.Struct], environ: Mapping[str, str], prefix: str) -> None:
    """Look for variables that are a setting but for underscores and case.

    Raises:
        ConfigurationError: with the variable's right name.
    """
    start = prefix.rstrip("_")
    own = [name for name in environ if name.upper().startswith(f"{start}_") and not name.startswith(prefix)]
    for variable in sorted(own):
        if _OF_KUBERNETES.fullmatch(variable) or (
            variable.endswith("_PORT") and _ADDRESS_OF_KUBERNETES.fullmatch(environ[variable])
        ):
            continue
        for pattern, name in _patterns(settings):
            if meant := re.fullmatch(f"{start}_+{pattern}", variable, re.IGNORECASE):
                right = prefix + name + "".join(each.upper() for each in meant.groups() if each)
                raise ConfigurationError(f"environment variable {variable} sets nothing: it is called {right}")


def _patterns(settings: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """What variables look like that mean a setting, and what it is called; what a group catches follows the name."""
    for key in known_keys(settings):
        pattern = "_*".join(re.split(r"[._]", key))
        name = SEPARATOR.join(key.upper().split("."))
        annotation = _annotation(settings, key)
        if is_properties(annotation):
            yield rf"{pattern}_+(\w+)", name + SEPARATOR
        elif is_secret(annotation):
            yield rf"{pattern}({FILE_SUFFIX})?", name
        else:
            yield pattern, name


def _annotation(settings: type[msgspec.Struct], key: str) -> Any:
    annotation: Any = settings
    for name in key.split("."):
        annotation = next(field.type for field in msgspec.structs.fields(annotation) if field.name == name)
    return annotation

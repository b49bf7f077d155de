"""Reads the configuration: defaults, then what `tidemark up` left in this folder, then `tidemark.toml`, then the
environment.

How the layers become structs is `resolve.py`'s business. Called once at the start of every command.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from stream.configuration.alike import refuse_alike
from stream.configuration.lines import line_of
from stream.configuration.resolve import ConfigurationError, Layer, resolve
from stream.configuration.settings import Configuration
from stream.decisions.policies import Policies

FILE_NAME: Final = "tidemark.toml"
ENVIRONMENT_PREFIX: Final = "TIDEMARK__"


class Loaded(NamedTuple):
    """The configuration in force, and where each of its values came from, by dotted key."""

    configuration: Configuration
    origins: dict[str, str]


def load(path: Path | None, environ: Mapping[str, str], running: Layer | None = None) -> Loaded:
    """The configuration in force.

    Args:
        path: a configuration file; None takes ``tidemark.toml`` of the working folder where there is one.
        environ: environment variables, such as ``TIDEMARK__TRITON__URL``.
        running: addresses of embedded parts that run in this folder: over the defaults, under everything that was set.

    Raises:
        ConfigurationError: says where, which key, and what was expected.
    """
    refuse_alike(Configuration, environ, ENVIRONMENT_PREFIX)
    layers = [running] if running is not None else []
    if path is None and Path(FILE_NAME).exists():
        path = Path(FILE_NAME)
    if path is not None:
        layers.append(Layer(str(path), _toml(path)))
    return Loaded(*resolve(Configuration, layers, environ, ENVIRONMENT_PREFIX))


def load_policies(path: Path) -> Policies:
    """The policies of a file: its table ``policies`` as `tidemark.toml` has one, or all of it where it has none. What
    it does not say has its default, whatever is in force.

    Raises:
        ConfigurationError: says in which line, which key, and what was expected.
    """
    values = _toml(path)
    table = values.get("policies", values)
    try:
        return resolve(Configuration, [Layer(str(path), {"policies": table})], {}, ENVIRONMENT_PREFIX)[0].policies
    except ConfigurationError as error:
        key = error.key if "policies" in values else error.key.removeprefix("policies.")
        line = line_of(path.read_text(), key)
        if line is None:
            raise
        raise ConfigurationError(str(error).replace(f"{path}:", f"{path}:{line}:", 1), error.key) from error


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"cannot read the configuration {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {error}") from error

"""`tidemark config`: every setting in force and where it came from, secrets masked.

Thresholds that nobody has set are shown as the card of the model in use fills them in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli.context import COLUMNS, loaded, output

if TYPE_CHECKING:
    from stream.configuration.settings import Configuration
    from stream.configuration.view import Shown

KEY_COLUMNS = 43
"""The longest key of a setting has 42 letters."""
VALUE_COLUMNS = 21

FOLLOWING = ("medium_from", "high_from")
"""Unset, these follow from `raise_threshold`."""
FILLED_IN = ("raise_threshold", "resolve_threshold", "base_rate", *FOLLOWING)
"""What a rule takes from the card of the model, or from its other values, where it is not set."""


def config(
    context: typer.Context,
    changed: Annotated[bool, typer.Option("--changed", help="Only what differs from the defaults.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="For scripts: one object, with the origin of each key.")
    ] = False,
) -> None:
    """Show the settings in force and where each came from; secrets are masked.

    The environment wins over tidemark.toml, which wins over the defaults: TIDEMARK__KAFKA__BOOTSTRAP_SERVERS sets
    kafka.bootstrap_servers, TIDEMARK__KAFKA__CLIENT__SECURITY_PROTOCOL the property security.protocol of every Kafka
    client. Thresholds that are not set are shown as the card of the model makes them, or (derived)
    as they follow from raise_threshold.
    """
    from stream.configuration.resolve import DEFAULT
    from stream.configuration.view import masked

    configuration, origins = loaded(context)
    shown = [line for line in masked(configuration, origins) if not changed or line.origin != DEFAULT]
    if any(line.value is None for line in shown):
        in_force = _filled_in(configuration)
        shown = [in_force.get(line.key, line) if line.value is None else line for line in shown]
    if as_json:
        import orjson

        typer.echo(orjson.dumps({line.key: {"value": line.value, "origin": line.origin} for line in shown}))
        return
    console = output()
    for line in shown:
        style = "dim" if line.origin == DEFAULT else None
        for row in _rows(line.key, _values(line.value), line.origin):
            console.print(row, style=style, markup=False, soft_wrap=True)


def _filled_in(configuration: Configuration) -> dict[str, Shown]:
    """What is in force for the thresholds that nobody has set, by key; nothing where there is no model."""
    from serving.registry import UnknownVersion, UnusableVersion
    from stream.configuration.repository import open_registry
    from stream.configuration.view import Shown
    from stream.decisions.policies import KINDS

    try:
        rules = configuration.policies.in_force(open_registry(configuration).default().card).rules
    except (FileNotFoundError, UnknownVersion, UnusableVersion, LookupError):
        return {}
    filled = {}
    for kind in KINDS:
        rule = getattr(configuration.policies, kind)
        own_threshold = rule.raise_threshold is not None or rule.raise_share is not None
        for name in FILLED_IN:
            derived = name in FOLLOWING or (own_threshold and name == "resolve_threshold")
            key = f"policies.{kind}.{name}"
            origin = "derived" if derived else "model card"
            filled[key] = Shown(key, getattr(rules[kind], name), origin)
    return filled


def _values(value: Any) -> list[str]:
    """The value as it would stand in tidemark.toml; a list with one element a line."""
    import orjson

    if value is None:
        return ["-"]
    if isinstance(value, str) and value:
        return [value]
    if isinstance(value, (list, tuple)) and value:
        return [orjson.dumps(each).decode() for each in value]
    return [orjson.dumps(value).decode()]


def _rows(key: str, values: list[str], origin: str) -> Iterator[str]:
    """Key, value and origin on one line, so that they can be searched for; what does not fit comes below.

    The variable that an environment's value came from follows from the key, and is not repeated.
    """
    origin = origin.partition(" ")[0] if origin.startswith("environment ") else origin
    fits = len(values) == 1 and len(values[0]) <= VALUE_COLUMNS
    room = COLUMNS - KEY_COLUMNS - VALUE_COLUMNS - 2
    first = f"{key:<{KEY_COLUMNS}} {values[0] if fits else '':<{VALUE_COLUMNS}} {origin if len(origin) <= room else ''}"
    yield first.rstrip()
    if not fits:
        yield from (f"    {value}" for value in values)
    if len(origin) > room:
        yield f"    from {origin}"

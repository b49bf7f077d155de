"""How `tidemark policies` looks: differences, changes, and policies as the TOML that they came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from stream.cli.context import output
from stream.contracts.times import to_rfc3339

if TYPE_CHECKING:
    from stream.contracts.control import Control
    from stream.decisions.policies import Policies
    from stream.operations.policies import Difference


def show_differences(found: Sequence[Difference]) -> None:
    """A table of values before and after."""
    if not found:
        output().print("no difference")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("setting", "before", "after"):
        table.add_column(heading, overflow="fold")
    for each in found:
        table.add_row(escape(each.key), escape(_told(each.before)), escape(_told(each.after)))
    output().print(table)


def show_applied(said: Control) -> None:
    """That it is done, and from when on it counts."""
    typer.echo(
        f"policies {said.version} hold for questions as of\n{to_rfc3339(said.effective_at)} and later; before them: "
        f"{said.previous_version}"
    )


def show_changes(found: Sequence[Control]) -> None:
    """A table of changes, oldest first."""
    if not found:
        output().print("none: what the configuration says is in force")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("from (event time)", "policies", "by", "why"):
        table.add_column(heading, overflow="fold")
    for each in found:
        table.add_row(to_rfc3339(each.effective_at), each.version, escape(each.actor), escape(each.reason))
    output().print(table)


def as_toml(policies: Policies) -> str:
    """All of the policies as TOML; what is None stands as a comment."""
    return "\n".join(_lines(msgspec.to_builtins(policies), "")) + "\n"


def _lines(table: Mapping[str, Any], inside: str) -> Iterator[str]:
    for name, value in table.items():
        if value is None:
            yield f"# {name} is left to the model's card"
        elif not isinstance(value, dict) and not _is_list_of_tables(value):
            yield f"{name} = {_value(value)}"
    for name, value in table.items():
        if isinstance(value, dict):
            yield from ("", f"[{inside}{name}]", *_lines(value, f"{inside}{name}."))
        elif _is_list_of_tables(value):
            for each in value:
                yield from ("", f"[[{inside}{name}]]")
                yield from (f"{key} = {_value(one)}" for key, one in each.items() if one is not None)


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(each, dict) for each in value)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{_value(str(key))} = {_value(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    # JSON's text, numbers, truth values and lists of them are TOML's.
    return msgspec.json.encode(value).decode()


def _told(value: Any) -> str:
    return "not set" if value is None else _value(value) if not isinstance(value, list | tuple) else _list(value)


def _list(values: Sequence[Any]) -> str:
    return f"{len(values)}: " + "; ".join(_entry(each) for each in values)


def _entry(value: Any) -> str:
    if not isinstance(value, dict):
        return _value(value)
    return " ".join(f"{name}={_value(each)}" for name, each in value.items() if each not in (None, {}))

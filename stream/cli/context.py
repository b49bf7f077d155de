"""What every command gets: the configuration in force, and where to print.

Called at the start of each command; it prints nothing itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from stream.configuration.load import Loaded

COLUMNS = 80


class Shared(NamedTuple):
    """The options that all commands share."""

    config: Path | None
    debug: bool


def loaded(context: typer.Context) -> Loaded:
    """The configuration in force, with what `tidemark up` runs in this folder.

    Raises:
        ConfigurationError: see `stream.configuration.load`.
    """
    from stream.configuration.clients import show_kafka_log
    from stream.configuration.load import load
    from stream.configuration.running import running_layer

    if context.obj.debug:
        show_kafka_log()
    return load(context.obj.config, os.environ, running_layer())


def output() -> Console:
    """For results. At most 80 columns wide on a terminal, and without colours elsewhere."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    console.width = min(console.width, COLUMNS)
    return console


def notes() -> Console:
    """For progress and remarks: standard error, so that results can be piped."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    console.width = min(console.width, COLUMNS)
    return console

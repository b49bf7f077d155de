"""What a load of events is told, and how far it is.

The load itself is `ingest.py`. Made by `tidemark ingest` and the demo, which also show the progress.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple


class Options(NamedTuple):
    """How to load."""

    rate: float | None = None
    """Events a second at most."""
    speedup: float | None = None
    """Seconds of event time a second, from the first event on."""
    backfill: bool = False
    """Mark every event as ``mode: backfill``: history that fires no alert."""
    catalogue: bool = True
    """Add items that the events name and the catalogue topic lacks."""
    again: bool = False
    """Load from the first line whatever was loaded before."""


DEFAULT_OPTIONS: Final = Options()


@dataclass
class Progress:
    """How far a load is; the same object is updated all the time."""

    lines: int = 0
    """Lines of the source that are dealt with, those of earlier runs included."""
    total: int | None = None
    """Lines in all; None where nobody knows."""
    resumed_at: int = 0
    """Lines that earlier runs had committed."""
    sent: int = 0
    """Events that this run committed."""
    derived_ids: int = 0
    """Events whose id was derived from their content."""
    unreadable: int = 0
    """Lines sent as they are, without a key, which will be dead letters."""
    unreadable_lines: list[int] = field(default_factory=list)
    """One-based numbers of the first of them."""
    items: int = 0
    """Catalogue items written."""
    seconds: float = 0.0

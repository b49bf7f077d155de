"""The events that versions of the model are compared on, where nobody names any.

They are of customers whom neither version was trained on: those that `tidemark retrain` leaves of its window, which are
of this shop and as new as its log, else the demo's. Called by `tidemark models`, and written by `retrain.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from serving.history import read_events
from stream.configuration.settings import Configuration
from stream.contracts.events import Event
from stream.operations.demo_events import sample

CANARIES_FILE: Final = "canaries.jsonl.gz"
"""In the data folder: the window's events of customers whom no version is trained on."""


class Compared(NamedTuple):
    """Events to compare versions on."""

    source: str
    events: Iterable[Event]


def compared_on(configuration: Configuration, files: Sequence[Path]) -> Compared:
    """The events of ``files``; without any, of the canaries of the last training, or of the demo's sample."""
    canaries = Path(configuration.data_dir) / CANARIES_FILE
    if not files and not canaries.is_file():
        return Compared("the demo's sample", sample())
    chosen = list(files) or [canaries]
    return Compared(", ".join(map(str, chosen)), read_events(chosen, configuration.profiles))

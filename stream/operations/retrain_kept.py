"""Keeps the window of a training under way, so that a run that was killed goes on with it, and knows what it answers.

A window belongs to the question that it was read for: the same source, span, version, bounds and settings. For any
other question, and after a day, it is as good as absent. Called by `retrain.py`, which says when the folder goes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from serving.training.bounds import Bounds
from stream.contracts.codec import encode
from stream.contracts.events import Event
from stream.contracts.times import to_epoch_ms, to_rfc3339
from stream.operations.files import whole_file
from stream.operations.retrain_window import WindowSource
from stream.profiles.settings import ProfileSettings

FOLDER: Final = "retraining"
"""Under the data folder: the window and the run under way. Gone once the version is added, or refused."""

WINDOW_FILE: Final = "window.jsonl.gz"

KEPT_FILE: Final = "window.json"
"""Written after ``WINDOW_FILE``: a window without it is not whole."""

GO_ON_WITHIN_S: Final = 24 * 3_600.0
"""A run that was killed goes on with its window while that is younger; after that a newer one is worth more."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what stands in a window, and what it is for."""

    source: WindowSource
    version: str
    """The version in force, whose successor is trained."""
    bounds: Bounds
    profiles: ProfileSettings


class Span(msgspec.Struct, frozen=True):
    """What a window spans."""

    events: int
    first_day: str
    """ISO 8601, in UTC."""
    last_day: str


class KeptWindow(msgspec.Struct, frozen=True):
    """What stands in ``KEPT_FILE``."""

    question: Question
    span: Span


def kept(work: Path, question: Question) -> Span | None:
    """The window that ``work`` holds for ``question``; None where it holds none, an old one, or that of another."""
    window, path = work / WINDOW_FILE, work / KEPT_FILE
    if not window.exists() or not path.exists() or time.time() - window.stat().st_mtime > GO_ON_WITHIN_S:
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=KeptWindow)
    except msgspec.DecodeError:
        # Of another release.
        return None
    return found.span if found.question == question else None


def keep(work: Path, question: Question, events: Sequence[Event]) -> Span:
    """Write the window, one event at least, and what it answers."""
    times = [to_epoch_ms(event.time) for event in events]
    span = Span(len(events), to_rfc3339(min(times))[:10], to_rfc3339(max(times))[:10])
    with whole_file(work / WINDOW_FILE) as out:
        out.writelines(encode(event) + b"\n" for event in events)
    with whole_file(work / KEPT_FILE) as out:
        out.write(msgspec.json.encode(KeptWindow(question, span)))
    return span

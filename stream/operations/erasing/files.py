"""What of a customer lies in the files that retraining leaves on this machine: the window of a run that was killed, and
the customers whom models are compared by.

Files that people have exported are theirs to find. Called by `erase.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from stream.operations.canary_events import CANARIES_FILE
from stream.operations.erasing.naming import Naming
from stream.operations.files import open_for_reading, whole_file
from stream.operations.retrain_kept import FOLDER, WINDOW_FILE


def files_about(data_dir: Path, naming: Naming) -> list[Path]:
    """The files that name the customer."""
    return [path for path in _files(data_dir) if path.exists() and any(naming(None, line) for line in _lines(path))]


def forget_in_files(data_dir: Path, naming: Naming) -> list[Path]:
    """Take the customer out of the files, and return those that were changed. Training begins its window anew."""
    changed = files_about(data_dir, naming)
    for path in changed:
        if path.name == WINDOW_FILE:
            shutil.rmtree(path.parent)
            continue
        lines = [line for line in _lines(path) if not naming(None, line)]
        with whole_file(path) as out:
            out.writelines(lines)
    return changed


def _files(data_dir: Path) -> Iterator[Path]:
    yield data_dir / FOLDER / WINDOW_FILE
    yield data_dir / CANARIES_FILE


def _lines(path: Path) -> Iterator[bytes]:
    with open_for_reading(path) as file:
        yield from file

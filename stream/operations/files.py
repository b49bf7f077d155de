"""Opens files of lines, compressed or not, by their names, and writes such files so that they are whole or absent.

What stands in the lines is not its business. Called by convert, simulate and ingest.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

STANDARD_STREAM: Final = "-"


def open_for_reading(path: str | Path) -> BinaryIO:
    """The bytes of a file, decompressed where its name ends in ``.gz``, ``.xz`` or ``.bz2``, in small letters or
    capitals; ``-`` is standard input."""
    if str(path) == STANDARD_STREAM:
        return sys.stdin.buffer
    openers: dict[str, Callable[..., object]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
    opener = openers.get(Path(path).suffix.lower())
    if opener is None:
        return Path(path).open("rb")
    return cast(BinaryIO, opener(path, "rb"))


@contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """A file to write, compressed by its name, which takes its place only when the block ends without an error.

    The same bytes in give the same file out: no time stamp and no file name go into the header of a ``.gz``.
    """
    if str(path) == STANDARD_STREAM:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        with unfinished.open("wb") as raw, _compressed(raw, path.suffix.lower()) as out:
            yield out
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _compressed(raw: IO[bytes], suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast(IO[bytes], gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0))
    if suffix == ".xz":
        return cast(IO[bytes], lzma.LZMAFile(raw, "wb", preset=9 | lzma.PRESET_EXTREME))
    return io.BufferedWriter(cast(io.RawIOBase, raw))

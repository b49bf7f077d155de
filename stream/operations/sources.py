"""Reads events from files of any kind we take, one at a time and in order: JSON lines, parquet, CSV, standard input.

Each comes with its line number, by which `ingest.py` remembers how far it got. Nothing is judged here: a line that is
no event goes through as it is.
"""

from __future__ import annotations

import csv
import hashlib
import io
import lzma
import os
import select
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stream.operations.files import STANDARD_STREAM, open_for_reading
from stream.operations.rows import MappingError, RowMapping

ROWS_AT_A_TIME: Final = 8_192
_DELIMITERS: Final = ",;\t|"
_BLOCK_BYTES: Final = 1 << 18
_COMPRESSED: Final = (".gz", ".xz", ".bz2")
_JSON_LINES: Final = (".jsonl", ".ndjson", ".json")
_ROWS: Final = (".csv", ".tsv")
_PARQUET: Final = ".parquet"


class SourceError(ValueError):
    """The file cannot be read as what its name says it is."""


class Line(NamedTuple):
    """One event as it stands in its source."""

    number: int
    """Zero-based; of a CSV file, rows without the header."""
    value: bytes
    """JSON, if the source is what it should be."""


class Columns(NamedTuple):
    """How rows become events; see `RowMapping`. JSON lines take none of it, since their fields are what they are."""

    mapped: Mapping[str, str] = {}
    constants: Mapping[str, str] = {}
    zone: ZoneInfo | None = None
    time_format: str | None = None


NO_COLUMNS: Final = Columns()


class Source:
    """A file of events, or standard input for ``-``.

    Raises:
        FileNotFoundError: there is no such file.
        SourceError: its name does not say what it holds.
        MappingError: columns for JSON lines, which would be loaded as if nothing had been said.
    """

    def __init__(self, path: str, columns: Columns = NO_COLUMNS) -> None:
        self.path = path
        self._columns = columns
        if not self.is_stream and not Path(path).is_file():
            raise FileNotFoundError(f"there is no file {path}")
        self._kind = _JSON_LINES[0] if self.is_stream else _kind(path)
        if self._kind in _JSON_LINES and columns != NO_COLUMNS:
            raise MappingError(
                f"--map, --set, --timezone and --time-format are for CSV and parquet: "
                f"{'standard input' if self.is_stream else path} holds JSON lines, which are loaded as they are "
                "(--backfill makes them history)"
            )

    @property
    def is_stream(self) -> bool:
        """Standard input: it can be read once, and nobody knows its end or its content before."""
        return self.path == STANDARD_STREAM

    def identity(self) -> str:
        """Hash of the content and of how rows become events, in hex: the same events have the same identity
        anywhere."""
        digest = hashlib.blake2b(repr(self._columns).encode(), digest_size=16)
        with Path(self.path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    def lines(self) -> Iterator[Line]:
        """Every line in order. Empty lines are numbered and left out.

        Raises:
            SourceError: not what its name says, broken, or a CSV file without a header.
            MappingError: columns that make no event.
        """
        readers = dict.fromkeys(_ROWS, self._csv) | {_PARQUET: self._parquet}
        try:
            yield from readers.get(self._kind, self._json_lines)()
        except UnicodeDecodeError as error:
            raise SourceError(f"{self.path} is not text in UTF-8: convert it first ({error})") from error
        except (EOFError, OSError, zlib.error, lzma.LZMAError, csv.Error, pa.ArrowInvalid) as error:
            raise SourceError(f"{self.path} is broken, or not what its name says: {error}") from error

    def lines_or_pauses(self, seconds: float) -> Iterator[Line | None]:
        """Every line in order, and None whenever standard input has sent nothing for so long.

        Raises:
            SourceError, MappingError: as ``lines`` does.
        """
        if not self.is_stream:
            yield from self.lines()
            return
        number = 0
        for line in arriving_lines(sys.stdin.fileno(), seconds):
            if line is None:
                yield None
                continue
            if stripped := line.strip():
                yield Line(number, stripped)
            number += 1

    def _json_lines(self) -> Iterator[Line]:
        with open_for_reading(self.path) as file:
            for number, line in enumerate(file):
                if stripped := line.strip():
                    yield Line(number, stripped)

    def _csv(self) -> Iterator[Line]:
        with io.TextIOWrapper(open_for_reading(self.path), encoding="utf-8-sig", newline="") as text:
            header = text.readline()
            delimiter = max(_DELIMITERS, key=header.count)
            columns = next(csv.reader([header], delimiter=delimiter), [])
            if not columns:
                raise SourceError(f"{self.path} has no header line that names its columns")
            mapping = self._mapping(columns)
            for number, row in enumerate(csv.DictReader(text, columns, delimiter=delimiter)):
                yield Line(number, _encoded(mapping.event(row)))

    def _parquet(self) -> Iterator[Line]:
        try:
            file = pq.ParquetFile(self.path)
        except pa.ArrowInvalid as error:
            raise SourceError(f"{self.path} is not a parquet file: {error}") from error
        mapping = self._mapping(file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME):
            for row in batch.to_pylist():
                yield Line(number, _encoded(mapping.event(row)))
                number += 1

    def _mapping(self, columns: list[str]) -> RowMapping:
        return RowMapping(columns, *self._columns)


def check_size(source: Source, line: Line, size: int, limit: int) -> None:
    """Refuse a line that makes a record of ``size`` bytes, key included, where the producer takes ``limit``.

    Raises:
        SourceError: it says which line it is, and what to do.
    """
    if size > limit:
        raise SourceError(
            f"{source.path}, line {line.number + 1:,}: {size:,} bytes, more than the {limit:,} that Kafka is sent in "
            "one record: split the line or take it out (ids keep the others from counting twice), or raise "
            "kafka.producer's message.max.bytes and the topic's max.message.bytes"
        )


def arriving_lines(descriptor: int, seconds: float) -> Iterator[bytes | None]:
    """Lines from an open file or pipe as they come, and None whenever nothing came for so many seconds."""
    unfinished = b""
    # poll() and not select(), which refuses descriptors above 1,023.
    arrival = select.poll()
    arrival.register(descriptor, select.POLLIN)
    while True:
        if not arrival.poll(seconds * 1000):
            yield None
            continue
        block = os.read(descriptor, _BLOCK_BYTES)
        if not block:
            break
        *whole, unfinished = (unfinished + block).split(b"\n")
        yield from whole
    if unfinished:
        yield unfinished


def _kind(path: str) -> str:
    name = Path(path).name.lower()
    suffix = Path(name).suffix
    kind = Path(name.removesuffix(suffix)).suffix if suffix in _COMPRESSED else suffix
    if kind in (*_JSON_LINES, *_ROWS) or (kind == _PARQUET and suffix == kind):
        return kind
    raise SourceError(
        f"{path}: its name does not say what it holds; known are {', '.join((*_JSON_LINES, *_ROWS))}, each also with "
        f"{', '.join(_COMPRESSED)} behind it, and {_PARQUET}"
    )


def _encoded(event: dict[str, Any]) -> bytes:
    return orjson.dumps(event, default=str)

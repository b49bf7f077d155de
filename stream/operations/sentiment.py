"""Reads texts from a table of any kind we take, has their sentiment said, and writes the table with it.

The model runs in this process, without a server (``serving.text``). Called by `tidemark sentiment`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from serving.text.decision import SENTIMENTS
from serving.text.encoder import TextEncoder
from serving.text.joining import joined
from stream.operations.rows import MappingError
from stream.operations.sources import SourceError

LABEL: Final = "label"
PROBABILITIES: Final = tuple(f"p_{name}" for name in SENTIMENTS)
TITLE: Final = "title"
"""A column of this name is read as the title unless another is named: titles say more of the mood than any sentence."""

_CSV: Final = {".csv": ",", ".tsv": "\t"}
_JSON_LINES: Final = (".jsonl", ".ndjson", ".json")
_PARQUET: Final = ".parquet"
_COMPRESSED: Final = (".gz", ".bz2", ".zst")
_BLOCK_BYTES: Final = 1 << 26
"""Longest line of JSON that can be read."""


class Said(NamedTuple):
    """What came of a file."""

    rows: int
    without_text: int
    labels: dict[str, int]
    title_column: str | None


def say_sentiment(
    path: Path,
    destination: Path,
    encoder: TextEncoder,
    text_column: str,
    title_column: str | None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Said:
    """Write the rows of ``path`` to ``destination`` (parquet) with ``label`` and ``p_negative`` to ``p_positive``.

    A row without any text gets the shares that the training reviews had.

    Args:
        path: .parquet, .csv, .tsv or .jsonl; the latter three also compressed.
        title_column: read before the text; None: the column ``title``, where there is one.

    Raises:
        FileNotFoundError: there is no such file, or no folder to write to.
        SourceError: it cannot be read, or holds no text at all.
        MappingError: it lacks a column, or has one of those that are added.
    """
    if not destination.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {destination.parent} to write {destination.name} to")
    table = _read(path, [text_column, *([title_column] if title_column else [TITLE])])
    taken = [name for name in (LABEL, *PROBABILITIES) if name in table.column_names]
    if taken:
        raise MappingError(f"{path} has a column {taken[0]} already: rename it, that name is added")
    if title_column is None and text_column != TITLE and TITLE in table.column_names:
        title_column = TITLE
    texts = _texts(table, text_column, path)
    if title_column:
        texts = [joined(title, text) for title, text in zip(_texts(table, title_column, path), texts, strict=True)]
    written = np.array([bool(text.strip()) for text in texts], bool)
    if not written.any():
        raise SourceError(f"no row of {path} has any text in column {text_column}: there is nothing to say")
    probabilities = np.tile(np.asarray(encoder.card.base_rates, np.float32), (len(texts), 1))
    found = encoder.encode([text for text, any_text in zip(texts, written, strict=True) if any_text], on_progress)
    probabilities[written] = found.probabilities
    labels = encoder.labels(probabilities)
    names = np.array(SENTIMENTS)[labels]
    table = table.append_column(LABEL, pa.array(names))
    for column, name in enumerate(PROBABILITIES):
        table = table.append_column(name, pa.array(probabilities[:, column]))
    pq.write_table(table, destination, compression="zstd")
    counts = np.bincount(labels, minlength=len(SENTIMENTS)).tolist()
    return Said(len(texts), int((~written).sum()), dict(zip(SENTIMENTS, counts, strict=True)), title_column)


def _read(path: Path, text_columns: list[str]) -> pa.Table:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    kind = [suffix for suffix in path.suffixes if suffix not in _COMPRESSED][-1:]
    suffix = kind[0].lower() if kind else ""
    try:
        if suffix == _PARQUET:
            return pq.read_table(path)
        with pa.input_stream(str(path), compression="detect") as stream:
            if suffix in _CSV:
                return pa_csv.read_csv(
                    stream,
                    parse_options=pa_csv.ParseOptions(delimiter=_CSV[suffix], newlines_in_values=True),
                    # What is text stays text, also where every row of it looks like a number.
                    convert_options=pa_csv.ConvertOptions(
                        column_types={name: pa.string() for name in text_columns}, strings_can_be_null=False
                    ),
                )
            if suffix in _JSON_LINES:
                return pa_json.read_json(stream, pa_json.ReadOptions(block_size=_BLOCK_BYTES))
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path} cannot be read as {suffix[1:]}: {error}") from error
    raise SourceError(f"{path}: what is in it? Give it the ending .parquet, .csv, .tsv or .jsonl")


def _texts(table: pa.Table, column: str, path: Path) -> list[str]:
    if column not in table.column_names:
        raise MappingError(f"{path} has no column {column}; it has {', '.join(table.column_names)}")
    kind = table.schema.field(column).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise MappingError(f"column {column} of {path} holds {kind}, no text")
    return [text or "" for text in table[column].to_pylist()]
